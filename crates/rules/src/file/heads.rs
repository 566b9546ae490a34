//! Rules that change the heads of requests and answers.

use toml::Spanned;

use super::{Captures, Reader};
use crate::action::{Action, HeaderEdit, Message};
use crate::error::RulesError;
use crate::template::Template;
use crate::written::{Pairs, Texts, WrittenHeads};

impl Reader<'_> {
    pub(super) fn set_header(
        &self,
        written: &Spanned<WrittenHeads<Pairs<Texts>>>,
        captures: Captures<'_>,
    ) -> Result<Action, RulesError> {
        let mut fields = Vec::new();
        for (message, pairs) in self.heads(written)? {
            for (name, values) in &pairs.0 {
                self.field_name(name)?;
                let values = values.0.iter().map(|value| self.field_value(value, captures));
                let values = values.collect::<Result<Vec<_>, _>>()?;
                if values.is_empty() {
                    return Err(self.error(name, "a value was expected; remove-header removes it"));
                }
                fields.push((message, name.get_ref().clone(), values));
            }
        }
        self.any(written, &fields)?;
        Ok(Action::Header(HeaderEdit::Set(fields)))
    }

    pub(super) fn remove_header(
        &self,
        written: &Spanned<WrittenHeads<Texts>>,
    ) -> Result<Action, RulesError> {
        let mut fields = Vec::new();
        for (message, names) in self.heads(written)? {
            for name in &names.0 {
                self.field_name(name)?;
                fields.push((message, name.get_ref().clone()));
            }
        }
        self.any(written, &fields)?;
        Ok(Action::Header(HeaderEdit::Remove(fields)))
    }

    pub(super) fn rename_header(
        &self,
        written: &Spanned<WrittenHeads<Pairs<Spanned<String>>>>,
    ) -> Result<Action, RulesError> {
        let mut fields = Vec::new();
        for (message, pairs) in self.heads(written)? {
            for (from, to) in &pairs.0 {
                self.field_name(from)?;
                self.field_name(to)?;
                fields.push((message, from.get_ref().clone(), to.get_ref().clone()));
            }
        }
        self.any(written, &fields)?;
        Ok(Action::Header(HeaderEdit::Rename(fields)))
    }

    fn heads<'w, T>(
        &self,
        written: &'w Spanned<WrittenHeads<T>>,
    ) -> Result<Vec<(Message, &'w T)>, RulesError> {
        let WrittenHeads { request, answer } = written.get_ref();
        let heads = [(Message::Request, request), (Message::Response, answer)];
        let heads: Vec<_> = heads
            .into_iter()
            .filter_map(|(message, head)| Some((message, head.as_ref()?)))
            .collect();
        if heads.is_empty() {
            return Err(self.error(written, "whose head was expected: request or answer"));
        }
        Ok(heads)
    }

    pub(super) fn field_name(&self, name: &Spanned<String>) -> Result<(), RulesError> {
        crate::action::check_name(name.get_ref()).map_err(|problem| self.error(name, problem))
    }

    /// A field's value. What is filled in later is looked at then; what stands here is now.
    pub(super) fn field_value(
        &self,
        value: &Spanned<String>,
        captures: Captures<'_>,
    ) -> Result<Template, RulesError> {
        let template = self.template(value, captures)?;
        if template.literals().chars().any(|c| c.is_control() && c != '\t') {
            let problem = "a field's value is one line: no line end and no control character";
            return Err(self.error(value, problem));
        }
        Ok(template)
    }
}
