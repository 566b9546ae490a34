# consoletap in a container. Run it on the host's network, or publish the port, and keep the
# volume: it holds the certificate authority, the settings and the sessions.
#
#   docker build -t consoletap .
#   docker run --rm -it -p 8080:8080 -v consoletap:/data consoletap
#
# .ci/run does not build it: no container engine runs there. It is kept plain for that reason.

FROM rust:1.95-slim-bookworm AS build
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN cargo build --release --locked

FROM debian:bookworm-slim
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --create-home --home-dir /data consoletap
COPY --from=build /src/target/release/consoletap /usr/local/bin/consoletap
USER 10001
ENV HOME=/data XDG_DATA_HOME=/data XDG_CONFIG_HOME=/data
WORKDIR /data
VOLUME /data
EXPOSE 8080
ENTRYPOINT ["consoletap"]
