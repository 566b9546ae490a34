//! Requests for the proxy's own pages: answered here, with a row, and never sent on.

use consoletap_flow::{Host, Kind, Opened, RequestHead, Scheme, State, Target, Url};

use crate::console::{Answer, RequestBody};
use crate::exchange::{After, Inlet, after, request, say};
use crate::open_flow::OpenFlow;
use crate::page::{self, Facts};
use crate::serve::{LocalAnswer, LocalBody};

/// Whether this request goes no further, whatever its `Host` says: the host is ours, or the tunnel
/// around it ends here.
pub(super) fn is_for(inlet: &Inlet, url: &Url) -> bool {
    let ours = |host: &Host| page::is_ours(host);
    ours(&url.authority.host)
        || inlet.inside.as_ref().is_some_and(|inside| ours(&inside.authority.host))
}

pub(super) async fn run(
    inlet: &Inlet,
    head: RequestHead,
    url: Url,
    source: RequestBody<'_>,
    mut answer: Answer<'_>,
) -> After {
    let shared = &inlet.shared;
    let classification = request::classify(shared, &head, &url);
    let client = inlet.client.address.ip().to_canonical();
    let facts = Facts {
        client,
        platform: classification.platform.only(),
        authority: shared.tls.interceptor.as_ref().map(|interceptor| interceptor.authority()),
        intercepts: shared.settings.tls.intercepts(),
        tested: shared.tested.last(client),
        seen: shared.seen.as_deref(),
        secure: inlet.inside.as_ref().is_some_and(|inside| inside.scheme == Scheme::Https),
    };
    let document = page::answer(&facts, &head.method, &url.authority.host, &url.path);
    let fields = document.fields();
    let body = LocalBody::Octets(document.body.into());
    let page = LocalAnswer::new(document.status, fields, body, head.method == "HEAD");
    let mut flow = OpenFlow::begin(
        shared,
        Opened {
            kind: Kind::Http,
            client: inlet.client,
            tunnel: inlet.inside.as_ref().map(|inside| inside.flow),
            target: Some(Target::Url(url)),
            request: Some(head),
            classification,
        },
    );
    flow.log.note("answered by consoletap itself");
    if !source.is_done() {
        answer.close_after();
    }
    say(&mut flow, &mut answer, &page, State::Complete, None).await;
    after(&answer)
}
