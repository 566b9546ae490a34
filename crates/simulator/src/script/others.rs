//! Short scenes of the other consoles.

use std::net::SocketAddr;

use super::{Pace, Report, Scene, expect};
use crate::console::{Console, Download, Request, split_url};
use crate::error::Error;
use crate::origin::World;

/// The folder of the PS5's official lists.
const PS5_OFFICIAL: &str = "tJMRE80IbXnE9YuG0jzTXgKEjIMoabr6";
/// A title of a real log; its folder hash was printed shortened and is filled up here.
const PS5_PACKAGE: &str = "http://gst.prod.dl.playstation.net/gst/prod/00/PPSA01590_00/app/pkg/33/f_206683f6206683f6206683f6206683f6206683f6206683f6206683f6206683f6/UP4134-PPSA01590_00-8013847526978797_2.pkg?&product=0287&serverIpAddr=127.0.0.1";

/// A PS3 that looks for an update, as it does before it signs in.
///
/// # Errors
/// Only if the proxy cannot be reached.
pub async fn ps3_update_check(proxy: SocketAddr) -> Result<Report, Error> {
    let console = Console::ps3("4.81");
    let mut scene = Scene::new(Pace::at_once());
    let url = "http://feu01.ps3.update.playstation.net/update/ps3/list/eu/ps3-updatelist.txt";
    let request = Request::get(url).agent(console.update_agent());
    let answer = console.behind(proxy).ask(&request).await;
    let came = expect(answer, 200, "a list with CRLF lines", |got| {
        let text = got.text();
        text.starts_with("# EU\r\n")
            && text.contains("Dest=85;ImageVersion=")
            && text.matches('\n').count() == text.matches("\r\n").count()
    });
    scene.note(request.line(), came).await?;
    Ok(scene.report)
}

/// A Vita that looks for an update.
///
/// # Errors
/// Only if the proxy cannot be reached.
pub async fn vita_update_check(proxy: SocketAddr) -> Result<Report, Error> {
    let console = Console::vita("3.73");
    let mut scene = Scene::new(Pace::at_once());
    // The sid tells one device from another: 64 hexadecimal digits.
    let url = format!(
        "http://fus01.psp2.update.playstation.net/update/psp2/list/us/psp2-updatelist.xml?ver=03730000&sid={}&nd=2",
        "0123456789abcdef".repeat(4)
    );
    let request = Request::get(&url).agent(console.update_agent());
    let answer = console.behind(proxy).ask(&request).await;
    let came = expect(answer, 200, "a list of this region, at most 65535 bytes", |got| {
        got.body.len() <= 65535 && got.text().contains("<region id=\"us\">")
    });
    scene.note(request.line(), came).await?;
    Ok(scene.report)
}

/// A PS5 that looks for an update and fetches a piece of a title.
///
/// # Errors
/// Only if the proxy cannot be reached.
pub async fn ps5_download(proxy: SocketAddr, world: &World, pace: Pace) -> Result<Report, Error> {
    let console = Console::ps5("4.00");
    let mut scene = Scene::new(pace);
    let url = format!(
        "http://fus01.ps5.update.playstation.net/update/ps5/official/{PS5_OFFICIAL}/list/us/updatelist.xml"
    );
    let request = Request::get(&url).agent(console.update_agent());
    let answer = console.behind(proxy).ask(&request).await;
    let came = expect(answer, 200, "a list of this region", |got| {
        got.text().contains("<region id=\"us\">")
    });
    scene.note(request.line(), came).await?;

    let (_, path) = split_url(PS5_PACKAGE, "http://")?;
    if let Some(content) = world.sizes().file(path) {
        let Pace { slice, connections, .. } = pace;
        let url = PS5_PACKAGE.to_owned();
        let download = Download { url, content, slice, connections, drops: vec![2] };
        let done = download.run(&console, proxy).await;
        let came = done.map(|done| (format!("{} bytes, {} slices", done.bytes, done.slices), ()));
        scene.note(format!("GET {PS5_PACKAGE}"), came).await?;
    }
    Ok(scene.report)
}

/// A Switch that joins a network: the connection test, then the speed tests in HTTP/1.0.
///
/// # Errors
/// Only if the proxy cannot be reached.
pub async fn switch_connection_test(proxy: SocketAddr) -> Result<Report, Error> {
    let console = Console::switch();
    let mut scene = Scene::new(Pace::at_once());
    let mut client = console.behind(proxy);
    let test = Request::get("http://ctest.cdn.nintendo.net/").agent(console.network_test_agent());
    let came = expect(client.ask(&test).await, 200, "`ok` of Nintendo", |got| {
        got.body == b"ok" && got.head.header("x-organization") == Some("Nintendo")
    });
    scene.note(test.line(), came).await?;

    let down = Request::get("http://ctest-dl-lp1.cdn.nintendo.net/30m");
    let down = down.agent(console.agent()).http_10();
    let came = expect(client.ask(&down).await, 200, "30 MiB", |got| got.body.len() == 30 << 20);
    scene.note(down.line(), came).await?;

    let up = Request::post("http://ctest-ul-lp1.cdn.nintendo.net/1m", vec![0; 1 << 20]);
    let up = up.header("Content-Type", "application/x-www-form-urlencoded");
    let up = up.agent(console.agent()).http_10();
    let came = expect(client.ask(&up).await, 200, "no body", |got| got.body.is_empty());
    scene.note(up.line(), came).await?;
    Ok(scene.report)
}
