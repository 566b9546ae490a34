//! `servicelist.xml` and `applaunchlink.xml`: which services and titles a PS4 may use where.
//! What a console makes of them is not known.

use std::fmt;

use crate::document::Content;
use crate::edit::Slot;
use crate::error::{DocumentError, shown};
use crate::xml::Xml;

/// A service list.
#[derive(Debug, Clone)]
pub struct ServiceList<'a> {
    xml: Xml<'a>,
    /// The platform that it is for, as `ps4`.
    pub platform: Option<String>,
    /// Its services, in order.
    pub services: Vec<Service>,
}

/// A service of the list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Service {
    /// Its name, as `SNS001`.
    pub name: String,
    /// Whether it is allowed where no country says otherwise.
    pub allowed: bool,
    /// The countries in which it is the other way round.
    pub except: Vec<String>,
}

impl<'a> ServiceList<'a> {
    /// Reads a service list.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, DocumentError> {
        let xml = Xml::parse("a service list", bytes)?;
        xml.expect_root("servicelist")?;
        let mut services: Vec<Service> = Vec::new();
        for element in xml.elements() {
            match (element.name, services.last_mut()) {
                ("service", _) => services.push(Service {
                    name: element.value("name").unwrap_or_default().to_owned(),
                    allowed: element.value("default") == Some("allow"),
                    except: Vec::new(),
                }),
                ("allow" | "deny", Some(service)) if xml.around(element) == "service" => {
                    let is_exception = (element.name == "allow") != service.allowed;
                    if let Some(country) = element.value("country").filter(|_| is_exception) {
                        service.except.push(country.to_owned());
                    }
                }
                _ => {}
            }
        }
        let platform = xml.root().value("platform").map(str::to_owned);
        Ok(Self { platform, services, xml })
    }
}

impl Content for ServiceList<'_> {
    fn source(&self) -> &[u8] {
        self.xml.source.as_bytes()
    }

    fn summary(&self) -> String {
        let services: Vec<String> = self.services.iter().map(ToString::to_string).collect();
        let platform = self.platform.as_deref().unwrap_or("an unnamed platform");
        shown(&format!("services for {platform}: {}", services.join(", ")))
    }

    fn slots(&self, key: &str) -> Vec<Slot> {
        match key {
            "platform" => self.xml.root().slot("platform").into_iter().collect(),
            "default" => self.xml.slots("service", "default"),
            _ => Vec::new(),
        }
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, if self.allowed { "allowed" } else { "denied" })?;
        if !self.except.is_empty() {
            write!(f, " (not in {})", self.except.join(" "))?;
        }
        Ok(())
    }
}

/// An application launch link list.
#[derive(Debug, Clone)]
pub struct AppLaunchLink<'a> {
    xml: Xml<'a>,
    /// The oldest firmware that it is for, as `01.700.000`.
    pub min_system_version: Option<String>,
    /// How many titles it bars.
    pub barred_titles: usize,
}

impl<'a> AppLaunchLink<'a> {
    /// Reads an application launch link list.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, DocumentError> {
        let xml = Xml::parse("an application launch link list", bytes)?;
        xml.expect_root("applaunchlink")?;
        let min = xml.named("system_info").find_map(|system| system.value("min_system_ver"));
        let min_system_version = min.map(str::to_owned);
        let barred = |around| around == "title_black_list";
        let barred_titles = xml.elements().iter().filter(|e| barred(xml.around(e))).count();
        Ok(Self { min_system_version, barred_titles, xml })
    }
}

impl Content for AppLaunchLink<'_> {
    fn source(&self) -> &[u8] {
        self.xml.source.as_bytes()
    }

    fn summary(&self) -> String {
        let min = self.min_system_version.as_deref().unwrap_or("any version");
        shown(&format!("launch links from firmware {min}, {} titles barred", self.barred_titles))
    }

    fn slots(&self, key: &str) -> Vec<Slot> {
        match key {
            "system" => self.xml.slots("system_info", "min_system_ver"),
            _ => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_service_list_is_read() {
        let list = ServiceList::parse(include_bytes!("../samples/servicelist.xml")).unwrap();
        assert_eq!(
            list.summary(),
            "services for ps4: SNS001 allowed, SNS002 allowed, SNS003 allowed, SNS004 allowed, \
             SNS005 denied (not in jp), SYS001 allowed (not in de)"
        );
    }

    #[test]
    fn the_documented_launch_link_list_is_read() {
        let list = AppLaunchLink::parse(include_bytes!("../samples/applaunchlink.xml")).unwrap();
        assert_eq!(list.summary(), "launch links from firmware 01.700.000, 0 titles barred");
        let error = AppLaunchLink::parse(b"<servicelist/>").unwrap_err();
        assert!(error.problem.contains("<applaunchlink> was expected"), "{error}");
    }
}
