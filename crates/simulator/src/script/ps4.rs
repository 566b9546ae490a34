//! A PS4 that is switched on: *Network connections by the System* of the page, in an order that
//! makes sense, followed by a title update and the beginning of a firmware download.

use std::net::SocketAddr;

use serde_json::Value;

use super::{Pace, Report, Scene, between, expect};
use crate::answers::{PATCH_CUSA00135, VERSION_CUSA00135};
use crate::console::{Console, Download, Request, TlsVersion, split_url};
use crate::error::Error;
use crate::origin::World;

/// The rows of the page with the WebKit user agent.
const WEBKIT_TUNNELS: [&str; 5] = [
    "themis.dl.playstation.net",
    "sf.api.np.km.playstation.net",
    "artcdnsecure.ribob01.net",
    "api-p014.ribob01.net",
    "apicdn-p014.ribob01.net",
];

/// The rows of the page without a user agent.
const BARE_TUNNELS: [&str; 4] = [
    "fswitch.dl.playstation.net",
    "ps4updptl.eu.np.community.playstation.net",
    "asm.np.community.playstation.net",
    "it-prof.np.community.playstation.net",
];

const METADATA: [&str; 2] = [
    "http://tmdb.np.dl.playstation.net/tmdb2/CUSA00080_00_4ED0D1374CB128AC8E277C9A3145505220D6D93A/CUSA00080_00.json",
    "http://tmdb.np.dl.playstation.net/tmdb2/CUSA00129_00_44DB6A4F9C773AF95F0D697E14652EABC80BAEFB/CUSA00129_00.json",
];

/// The system and the recovery image.
const FIRMWARE: [&str; 2] = [
    "http://deu01.ps4.update.playstation.net/update/ps4/image/2014_0528/sys_ce90f2e9274e4614ffde6934e08e4b6e/PS4UPDATE.PUP?dest=eu",
    "http://deu01.ps4.update.playstation.net/update/ps4/image/2014_0528/rec_7f84e2f63d1f6a5b4348bb528b35f2d7/PS4UPDATE.PUP?dest=eu",
];

/// Plays the start-up of a PS4 through a proxy that leads the documented hosts to `world`.
///
/// # Errors
/// Only if the proxy cannot be reached; anything else that is not as documented is in the report.
pub async fn ps4_start_up(proxy: SocketAddr, world: &World, pace: Pace) -> Result<Report, Error> {
    let console = Console::ps4("1.51").trusting(world.roots());
    let mut start_up = StartUp { scene: Scene::new(pace), console, proxy, world };
    start_up.network_test().await?;
    start_up.update_lists().await?;
    start_up.title_metadata().await?;
    start_up.tunnels().await?;
    start_up.title_update().await?;
    start_up.firmware().await?;
    Ok(start_up.scene.report)
}

struct StartUp<'a> {
    scene: Scene,
    console: Console,
    proxy: SocketAddr,
    world: &'a World,
}

impl StartUp<'_> {
    async fn network_test(&mut self) -> Result<(), Error> {
        let agent = self.console.network_test_agent();
        let down = Request::get("http://get.net.playstation.net/networktest/get_2m").agent(&agent);
        let mut client = self.console.behind(self.proxy);
        let came = expect(client.ask(&down).await, 200, "2 MiB", |got| got.body.len() == 2 << 20);
        self.scene.note(down.line(), came).await?;
        // The name promises 128 of something; KiB is our reading.
        let up = "http://post.net.playstation.net/networktest/post_128";
        let up = Request::post(up, vec![0; 128 << 10]).agent(&agent);
        let came = expect(client.ask(&up).await, 200, "any body", |_| true);
        self.scene.note(up.line(), came).await?;
        Ok(())
    }

    /// The page has these from two consoles: 1.51 in the US, 1.61 in Europe.
    async fn update_lists(&mut self) -> Result<(), Error> {
        for (firmware, region) in [("1.51", "us"), ("1.61", "eu")] {
            let console = Console::ps4(firmware);
            let mut client = console.behind(self.proxy);
            let url = format!(
                "http://f{region}01.ps4.update.playstation.net/update/ps4/list/{region}/ps4-updatelist.xml"
            );
            let id = format!("<region id=\"{region}\">");
            for agent in [console.update_agent(), console.system_logger_agent()] {
                let request = Request::get(&url).agent(agent);
                let answer = client.ask(&request).await;
                let came =
                    expect(answer, 200, "a list of this region", |got| got.text().contains(&id));
                self.scene.note(request.line(), came).await?;
            }
        }
        Ok(())
    }

    async fn title_metadata(&mut self) -> Result<(), Error> {
        let mut client = self.console.behind(self.proxy);
        for url in METADATA {
            let request = Request::get(url).agent(self.console.title_metadata_agent());
            let came = expect(client.ask(&request).await, 200, "the metadata of a title", |got| {
                let metadata = serde_json::from_slice::<Value>(&got.body).unwrap_or_default();
                metadata["npTitleId"]
                    .as_str()
                    .is_some_and(|id| url.ends_with(&format!("{id}.json")))
            });
            self.scene.note(request.line(), came).await?;
        }
        Ok(())
    }

    async fn tunnels(&mut self) -> Result<(), Error> {
        let webkit = self.console.webkit_agent();
        let tunnels = BARE_TUNNELS.map(|host| (host, None)).into_iter();
        for (host, agent) in tunnels.chain(WEBKIT_TUNNELS.map(|host| (host, Some(webkit.as_str()))))
        {
            let came = self.inside(host, "/", agent).await;
            self.scene.note(format!("CONNECT {host}:443"), came).await?;
        }
        Ok(())
    }

    /// A tunnel, a handshake and one request inside.
    async fn inside(
        &self,
        host: &str,
        path: &str,
        agent: Option<&str>,
    ) -> Result<(String, String), Error> {
        let tunnel = self.console.tunnel(self.proxy, host, agent).await?;
        let mut client = tunnel.handshake(TlsVersion::Tls12).await?;
        let mut request = Request::get(&format!("https://{host}{path}"));
        if let Some(agent) = agent {
            request = request.agent(agent);
        }
        let (came, answer) = expect(client.ask(&request).await, 200, "any body", |_| true)?;
        let agreed = client.agreed();
        client.close().await?;
        Ok((format!("{agreed}, inside {came}"), answer.text()))
    }

    /// Follows what the servers say: description, manifest, pieces.
    async fn title_update(&mut self) -> Result<(), Error> {
        let agent = self.console.agent();
        let host = "gs-sec.ww.np.dl.playstation.net";
        let came = self.inside(host, VERSION_CUSA00135, Some(&agent)).await;
        let version =
            self.scene.note(format!("CONNECT {host}:443"), came).await?.unwrap_or_default();
        let documented = format!("http://gs2.ww.prod.dl.playstation.net{PATCH_CUSA00135}.json");
        let manifest = between(&version, "manifest_url=\"", "\"").unwrap_or(&documented);

        let mut client = self.console.behind(self.proxy);
        let request = Request::get(manifest).agent(&agent);
        let answer = client.ask(&request).await;
        let came = expect(answer, 200, "a manifest", |got| !pieces(&got.body).is_empty());
        let manifest_body = self.scene.note(request.line(), came).await?.map(|answer| answer.body);

        let folder = manifest.rsplit_once('/').map_or(manifest, |(folder, _)| folder);
        let request = Request::get(&format!("{folder}/playgo-manifest.xml")).agent(&agent);
        let answer = client.ask(&request).await;
        let came = expect(answer, 200, "chunks", |got| got.text().contains("<chunks "));
        self.scene.note(request.line(), came).await?;

        for (number, url) in pieces(&manifest_body.unwrap_or_default()).into_iter().enumerate() {
            let drops = if number == 0 { vec![1] } else { vec![] };
            self.piece(url, drops).await?;
        }
        Ok(())
    }

    async fn piece(&mut self, url: String, drops: Vec<usize>) -> Result<(), Error> {
        let asked = format!("GET {url}");
        let path = split_url(&url, "http://").map(|(_, path)| path);
        let came = match path.map(|path| self.world.sizes().file(path)) {
            Ok(Some(content)) => {
                let Pace { slice, connections, .. } = self.scene.pace;
                let download = Download { url, content, slice, connections, drops };
                download.run(&self.console, self.proxy).await.map(|done| {
                    let text = format!(
                        "{} bytes in {} slices on {} connections, {} dropped half way",
                        done.bytes, done.slices, done.opened, done.dropped
                    );
                    (text, ())
                })
            }
            Ok(None) => Err(Error::Unexpected { expected: "a package".to_owned(), got: url }),
            Err(error) => Err(error),
        };
        self.scene.note(asked, came).await?;
        Ok(())
    }

    /// The player presses Cancel. The page notes `close` for these requests, and no user agent.
    async fn firmware(&mut self) -> Result<(), Error> {
        for url in FIRMWARE {
            let request = Request::get(url).close();
            let answer = self.console.behind(self.proxy).ask_and_abort(&request, 256 << 10).await;
            let content = self.world.sizes().file(split_url(url, "http://")?.1);
            let came = expect(answer, 200, "the image", |got| {
                content.is_some_and(|content| content.check(0, &got.body).is_ok())
            });
            let came = came.map(|(came, _)| (format!("{came}, then cancelled"), ()));
            self.scene.note(request.line(), came).await?;
        }
        Ok(())
    }
}

/// The addresses that a manifest names.
fn pieces(manifest: &[u8]) -> Vec<String> {
    let manifest = serde_json::from_slice::<Value>(manifest).unwrap_or_default();
    let pieces = manifest["pieces"].as_array().map(Vec::as_slice).unwrap_or_default();
    pieces.iter().filter_map(|piece| piece["url"].as_str().map(str::to_owned)).collect()
}
