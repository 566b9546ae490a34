//! The answer for a person, in sentences.

use std::fmt;

use consoletap_flow::{Environment, Platform, Platforms};

use super::{Answer, Fields};
use crate::entry::{Confidence, Entry};
use crate::title::ContentId;

impl fmt::Display for Answer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let said = &self.classification;
        let is_port = said.entry.is_none() && !self.ports.is_empty();
        match &said.summary {
            Some(summary) => writeln!(f, "{summary}.")?,
            None if is_port => {}
            None => writeln!(f, "Nothing is known of this yet.")?,
        }
        if said.entry.is_some() {
            match said.platform.is_unknown() {
                true => writeln!(f, "Nothing tells which console asks for it.")?,
                false => writeln!(f, "It is asked for by {}.", consoles(said.platform))?,
            }
        }
        if let Environment::Nonretail(label) = &said.environment {
            writeln!(f, "It goes to the {label} servers, which are not the public ones.")?;
        }
        self.write_title(f)?;
        self.write_fields(f)?;
        for over in &self.over_limit {
            writeln!(
                f,
                "Its {} is {}, and the service accepts no more than {}.",
                over.field, over.value, over.most
            )?;
        }
        if let Some(entry) = self.entry {
            write_entry(f, entry)?;
        }
        self.write_ports(f)
    }
}

impl Answer<'_> {
    fn write_title(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let details = &self.classification.details;
        if let Some(title) = details.np_title_id.as_ref().or(details.title_id.as_ref()) {
            write!(f, "The title is {title}")?;
            match details.title_platform.and_then(Platforms::only) {
                Some(platform) => writeln!(f, ", made for the {}.", platform.label())?,
                None => writeln!(f, ".")?,
            }
        }
        if let Some(content) = &details.content_id {
            write!(f, "The content is {content}")?;
            match ContentId::parse(content) {
                Some(id) => writeln!(f, ": publisher {}, label {}.", id.publisher, id.label)?,
                None => writeln!(f, ".")?,
            }
        }
        match details.hash_ok {
            Some(true) => writeln!(f, "The hash in the URL fits the title."),
            Some(false) => writeln!(f, "The hash in the URL does NOT fit the title."),
            None => Ok(()),
        }
    }

    fn write_fields(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let details = &self.classification.details;
        if let Some(firmware) = &details.firmware {
            writeln!(f, "The console says that its firmware is {firmware}.")?;
        }
        if let Some(region) = &details.region {
            writeln!(f, "The region is {region}.")?;
        }
        let fields = Fields(&self.classification);
        let others = fields.iter().filter(|(name, _)| !matches!(*name, "publisher" | "label"));
        let others: Vec<String> = others.map(|(name, value)| format!("{name} {value}")).collect();
        if !others.is_empty() {
            writeln!(f, "It also says: {}.", others.join(", "))?;
        }
        Ok(())
    }

    fn write_ports(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.ports.len() {
            0 => return Ok(()),
            1 => writeln!(f, "The port is known for:")?,
            _ => writeln!(f, "The port lies in several ranges, and is known for:")?,
        }
        for port in &self.ports {
            let range = match port.first == port.last {
                true => port.first.to_string(),
                false => format!("{}-{}", port.first, port.last),
            };
            write!(f, "  {} {range}: {}", port.protocol, port.usage)?;
            if !port.remarks.is_empty() {
                write!(f, " ({})", port.remarks)?;
            }
            writeln!(f, ", {}", consoles(port.platform))?;
        }
        Ok(())
    }
}

fn write_entry(f: &mut fmt::Formatter<'_>, entry: &Entry) -> fmt::Result {
    if entry.download {
        writeln!(f, "It is a large file, fetched in slices; its path alone names it.")?;
    }
    if entry.pinned {
        writeln!(f, "The console accepts no certificate but the one it knows: this stays closed.")?;
    }
    if entry.rewritable {
        writeln!(f, "A changed answer is known to work on an unmodified console.")?;
    }
    let secret = &entry.secret;
    let kinds = [
        ("query", &secret.query),
        ("form", &secret.form),
        ("headers", &secret.header),
        ("JSON", &secret.json),
        ("XML", &secret.xml),
    ];
    let kinds = kinds.into_iter().filter(|(_, names)| !names.is_empty());
    let kinds: Vec<String> =
        kinds.map(|(kind, names)| format!("{} ({kind})", names.join(", "))).collect();
    if !kinds.is_empty() {
        writeln!(f, "Secret in it, where they are there: {}.", kinds.join("; "))?;
    }
    let sure = match entry.confidence {
        Confidence::Verified => "verified",
        Confidence::Documented => "documented",
        Confidence::Unconfirmed => "not confirmed",
    };
    let page = if entry.documented { ", of the documented page" } else { "" };
    writeln!(f, "Category {}, row {}{page}.", entry.category, entry.id)?;
    match entry.source.is_empty() {
        true => writeln!(f, "Known from nobody says where; {sure}."),
        false => writeln!(f, "Known from {}; {sure}.", entry.source),
    }
}

/// `a PS3, a PSP or a PS Vita`
fn consoles(platforms: Platforms) -> String {
    let one = |platform: Platform| {
        let family = platform.family() == platform;
        let article = match platform {
            _ if family => "some",
            Platform::Xbox360 | Platform::XboxOne => "an",
            _ => "a",
        };
        format!("{article} {}", platform.label())
    };
    let names: Vec<String> = platforms.iter().map(one).collect();
    match names.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
        None => "no console that is known".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Catalog, Question};

    fn words(target: &str) -> String {
        let question = Question::parse(None, Some(target), None).unwrap();
        Catalog::builtin().explain(&question).to_string()
    }

    #[test]
    fn a_url_is_told_in_sentences_with_every_field() {
        insta::assert_snapshot!(words(
            "http://gs2.ww.prod.dl.playstation.net/gs2/ppkgo/prod/CUSA00135_00/21/f_06da3b33d65c72bc25dac70c5d3c5669addbe50a94e87cc644e5b9471101303f/f/EP1018-CUSA00135_00-BATMANARKHAMKNHT-A0118-V0100_0.pkg"
        ));
    }

    #[test]
    fn a_picture_that_is_too_large_is_told() {
        let text = words(
            "https://image.api.np.km.playstation.net/images/?format=png&w=5000&h=2160&image=https://a.example/x.jpg",
        );
        assert!(
            text.contains("Its w is 5000, and the service accepts no more than 4096."),
            "{text}"
        );
        let fits = words("https://image.api.np.km.playstation.net/images/?w=4096&h=2160");
        assert!(!fits.contains("accepts no more"), "{fits}");
    }

    #[test]
    fn a_port_is_told_with_every_range_it_lies_in() {
        insta::assert_snapshot!(words(":3478"));
    }

    #[test]
    fn names_of_consoles_read_as_people_write_them() {
        let consoles = |text: &str| consoles(text.parse().unwrap());
        assert_eq!(consoles("ps3|psp|psvita"), "a PS3, a PSP or a PS Vita");
        assert_eq!(consoles("playstation"), "some PlayStation");
        assert_eq!(consoles("xboxone"), "an Xbox");
    }
}
