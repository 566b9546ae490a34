//! Plain exchanges.

use consoletap_flow::{Kind, State};
use consoletap_simulator::RawOrigin;

use super::harness::Tested;

#[tokio::test]
async fn a_request_goes_on_in_origin_form_and_its_answer_comes_back() {
    let origin =
        RawOrigin::answer("HTTP/1.1 200 Fine\r\nX-A: 1\r\nContent-Length: 2\r\nx-b: 2\r\n\r\nok")
            .await
            .unwrap();
    let proxy = Tested::start().await;
    let address = origin.address();
    let answer = proxy
        .say(format!("GET http://{address}/p?q HTTP/1.1\r\nhOST: {address}\r\nX-One: 1\r\nConnection: close\r\n\r\n"))
        .await;
    assert!(
        answer.starts_with("HTTP/1.1 200 Fine\r\nX-A: 1\r\nContent-Length: 2\r\nx-b: 2\r\n"),
        "{answer}"
    );
    assert!(answer.ends_with("\r\n\r\nok"), "{answer}");
    let received = String::from_utf8(origin.received().remove(0)).unwrap();
    assert!(
        received.starts_with(&format!(
            "GET /p?q HTTP/1.1\r\nhOST: {address}\r\nX-One: 1\r\nVia: 1.1 consoletap-"
        )),
        "{received}"
    );
    let flow = proxy.flow().await;
    assert_eq!((flow.kind, flow.state(), flow.status()), (Kind::Http, State::Complete, Some(200)));
}
