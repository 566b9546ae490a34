//! Rules that change bodies.

use serde_json::Value;
use toml::Spanned;

use super::{Captures, Reader, regex_problem};
use crate::action::{Action, Replace, Rewrite};
use crate::edit::xml::XmlPath;
use crate::error::RulesError;
use crate::template::{Places, Template};
use crate::written::{Pairs, Replaces, WrittenReplace, WrittenRewrite, WrittenRewriteRequest};

impl Reader<'_> {
    pub(super) fn rewrite(
        &self,
        written: Spanned<WrittenRewrite>,
        captures: Captures<'_>,
    ) -> Result<Action, RulesError> {
        let whole = Spanned::new(written.span(), ());
        let WrittenRewrite { firmware, json, document, replace, json_patch, json_merge_patch, xml } =
            written.into_inner();
        let ways = [
            firmware.map(|_| Ok(Rewrite::HideFirmware)),
            json.map(|table| {
                let read = Rewrite::json(table.get_ref(), captures);
                read.map_err(|problem| self.error(&table, problem))
            }),
            document.map(|table| {
                let read = Rewrite::document(table.get_ref(), captures);
                read.map_err(|problem| self.error(&table, problem))
            }),
            replace.map(|replace| self.replace(&replace, captures)),
            json_patch.map(|patch| self.json_patch(&patch)),
            json_merge_patch.map(|patch| self.json(&patch).map(Rewrite::JsonMergePatch)),
            xml.map(|pairs| self.xml(&pairs, captures)),
        ];
        let needs = "`rewrite` needs one of firmware = \"hide\", json = { … }, document \
                     = { … }, replace = { … }, json-patch = [ … ], json-merge-patch = { … } and xml = { … }";
        self.only_one(ways, &whole, needs).map(Action::Rewrite)
    }

    pub(super) fn rewrite_request(
        &self,
        written: Spanned<WrittenRewriteRequest>,
        captures: Captures<'_>,
    ) -> Result<Action, RulesError> {
        let whole = Spanned::new(written.span(), ());
        let WrittenRewriteRequest { form, replace, json_patch, json_merge_patch, xml } =
            written.into_inner();
        let ways = [
            form.map(|pairs| self.form(&pairs, captures)),
            replace.map(|replace| self.replace(&replace, captures)),
            json_patch.map(|patch| self.json_patch(&patch)),
            json_merge_patch.map(|patch| self.json(&patch).map(Rewrite::JsonMergePatch)),
            xml.map(|pairs| self.xml(&pairs, captures)),
        ];
        let needs = "`rewrite-request` needs one of form = { … }, replace = { … }, \
                     json-patch = [ … ], json-merge-patch = { … } and xml = { … }";
        self.only_one(ways, &whole, needs).map(Action::RewriteRequest)
    }

    /// The one way that is written; `needs` says what there is to choose from.
    fn only_one(
        &self,
        ways: impl IntoIterator<Item = Option<Result<Rewrite, RulesError>>>,
        whole: &Spanned<()>,
        needs: &'static str,
    ) -> Result<Rewrite, RulesError> {
        let mut ways = ways.into_iter().flatten();
        match (ways.next(), ways.next()) {
            (Some(rewrite), None) => rewrite,
            _ => Err(self.error(whole, needs)),
        }
    }

    fn form(
        &self,
        written: &Spanned<Pairs<Spanned<String>>>,
        captures: Captures<'_>,
    ) -> Result<Rewrite, RulesError> {
        let fields = written.get_ref().0.iter().map(|(name, value)| {
            let places = Places { value: true, captures };
            let template = Template::parse(value.get_ref(), places);
            let template = template.map_err(|problem| self.error(value, problem))?;
            Ok((name.get_ref().clone(), template))
        });
        let fields = fields.collect::<Result<Vec<_>, RulesError>>()?;
        self.any(written, &fields)?;
        Ok(Rewrite::Form(fields))
    }

    fn json_patch(&self, patch: &Spanned<toml::Value>) -> Result<Rewrite, RulesError> {
        let operations = serde_json::from_value(self.json(patch)?).map_err(|error| {
            self.error(patch, format!("this is no JSON Patch (RFC 6902): {error}"))
        });
        operations.map(Rewrite::JsonPatch)
    }

    fn replace(
        &self,
        written: &Spanned<Replaces>,
        captures: Captures<'_>,
    ) -> Result<Rewrite, RulesError> {
        let replaces = written.get_ref().0.iter().map(|WrittenReplace { find, with }| {
            let regex = regex::bytes::RegexBuilder::new(find.get_ref())
                .size_limit(1 << 20)
                .nest_limit(50)
                .build()
                .map_err(|error| {
                    self.error(find, format!("in `find`: {}", regex_problem(&error)))
                })?;
            let own = regex.capture_names().enumerate();
            let own = own.map(|(n, name)| name.map_or_else(|| n.to_string(), str::to_owned));
            let captures: Vec<String> = own.chain(captures.iter().cloned()).collect();
            Ok(Replace { find: regex, with: self.template(with, &captures)? })
        });
        let replaces = replaces.collect::<Result<Vec<_>, RulesError>>()?;
        self.any(written, &replaces)?;
        Ok(Rewrite::Replace(replaces))
    }

    fn xml(
        &self,
        written: &Spanned<Pairs<Spanned<String>>>,
        captures: Captures<'_>,
    ) -> Result<Rewrite, RulesError> {
        let settings = written.get_ref().0.iter().map(|(path, value)| {
            let path =
                XmlPath::parse(path.get_ref()).map_err(|problem| self.error(path, problem))?;
            Ok((path, self.template(value, captures)?))
        });
        let settings = settings.collect::<Result<Vec<_>, RulesError>>()?;
        self.any(written, &settings)?;
        Ok(Rewrite::Xml(settings))
    }

    /// JSON, written as TOML or, since TOML has no null, as text.
    fn json(&self, written: &Spanned<toml::Value>) -> Result<Value, RulesError> {
        match written.get_ref() {
            toml::Value::String(text) => serde_json::from_str(text)
                .map_err(|error| self.error(written, format!("this text is no JSON: {error}"))),
            value => {
                crate::action::json_value(value).map_err(|problem| self.error(written, problem))
            }
        }
    }
}
