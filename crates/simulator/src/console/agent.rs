//! The documented user agents, by console and firmware.

use super::{Console, Model};

impl Console {
    /// Of package downloads.
    #[must_use]
    pub fn agent(&self) -> String {
        let version = self.libhttp();
        match self.model {
            Model::Ps3 => format!("PS3Application libhttp/{}-000 (CellOS)", dotted(version)),
            Model::Vita => format!("libhttp/{version} (PS Vita)"),
            Model::Ps4 => format!("libhttp/{version} (PlayStation 4)"),
            Model::Ps5 => format!("libhttp/{version} (PlayStation 5)"),
            Model::Switch => "Nintendo NX".to_owned(),
        }
    }

    /// Of update checks.
    #[must_use]
    pub fn update_agent(&self) -> String {
        match self.model {
            Model::Ps3 => "PS3Update-agent/1.0.0 libhttp/1.0.0".to_owned(),
            Model::Ps4 => format!("Download/1.00 {}", self.agent()),
            _ => self.agent(),
        }
    }

    /// Of connection tests.
    #[must_use]
    pub fn network_test_agent(&self) -> String {
        match self.model {
            Model::Ps3 => "PS3Netconf-agent/1.0.0 libhttp/1.0.0".to_owned(),
            Model::Ps4 => format!("btest/1.0 {}", self.agent()),
            Model::Switch => "NX NIFM/00".to_owned(),
            _ => self.agent(),
        }
    }

    /// Of a PS4's logger, which asks for the update list as well.
    #[must_use]
    pub fn system_logger_agent(&self) -> String {
        let system = match self.firmware.as_str() {
            "1.51" => "1.501".to_owned(),
            firmware => format!("{firmware}0"),
        };
        format!("SystemLogger/1.0 (PlayStation 4 {system}) {}", self.agent())
    }

    /// Of a PS4 that wants to know what a title is called.
    #[must_use]
    pub fn title_metadata_agent(&self) -> String {
        format!("PS4TitleMetadata/1.00 {}", self.agent())
    }

    /// Of the WebKit in a PS4's shell.
    #[must_use]
    pub fn webkit_agent(&self) -> String {
        let firmware = &self.firmware;
        format!("Mozilla/5.0 (PlayStation 4 {firmware}) AppleWebKit/536.26 (KHTML, like Gecko)")
    }

    /// The page has libhttp/1.50 beside a WebKit of 1.51.
    fn libhttp(&self) -> &str {
        match (self.model, self.firmware.as_str()) {
            (Model::Ps4, "1.51") => "1.50",
            (_, firmware) => firmware,
        }
    }
}

/// `4.81` as a PS3 writes it: `4.8.1`.
fn dotted(firmware: &str) -> String {
    match firmware.split_at_checked(firmware.len().saturating_sub(1)) {
        Some((most, last)) if firmware.contains('.') => format!("{most}.{last}"),
        _ => firmware.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_user_agents_are_those_of_the_page() {
        let (early, late) = (Console::ps4("1.51"), Console::ps4("1.61"));
        assert_eq!(early.network_test_agent(), "btest/1.0 libhttp/1.50 (PlayStation 4)");
        assert_eq!(early.update_agent(), "Download/1.00 libhttp/1.50 (PlayStation 4)");
        assert_eq!(late.update_agent(), "Download/1.00 libhttp/1.61 (PlayStation 4)");
        assert_eq!(
            early.system_logger_agent(),
            "SystemLogger/1.0 (PlayStation 4 1.501) libhttp/1.50 (PlayStation 4)"
        );
        assert_eq!(
            late.system_logger_agent(),
            "SystemLogger/1.0 (PlayStation 4 1.610) libhttp/1.61 (PlayStation 4)"
        );
        assert_eq!(
            early.title_metadata_agent(),
            "PS4TitleMetadata/1.00 libhttp/1.50 (PlayStation 4)"
        );
        assert_eq!(
            early.webkit_agent(),
            "Mozilla/5.0 (PlayStation 4 1.51) AppleWebKit/536.26 (KHTML, like Gecko)"
        );
        assert_eq!(Console::ps3("4.81").agent(), "PS3Application libhttp/4.8.1-000 (CellOS)");
        assert_eq!(Console::ps5("4.00").agent(), "libhttp/4.00 (PlayStation 5)");
    }
}
