//! Rules that answer from here, or ask somebody else.

use std::path::{Path, PathBuf};

use toml::Spanned;

use super::{Captures, Reader};
use crate::action::{Action, AnswerRule, Body, FileRule, Files, Missing, RemoteRule};
use crate::amount::Bytes;
use crate::error::RulesError;
use crate::template::Template;
use crate::written::{WrittenAnswer, WrittenMapLocal, WrittenMapRemote, WrittenMissing};

/// Consoles ask for 30 MiB at most.
const MOST_ZEROS: usize = 64 << 20;

impl Reader<'_> {
    pub(super) fn answer(
        &self,
        written: &Spanned<WrittenAnswer>,
        captures: Captures<'_>,
    ) -> Result<Action, RulesError> {
        let answer = written.get_ref();
        let status = answer.status.as_ref().map(|status| match *status.get_ref() {
            // The range is one of u16, too.
            number @ 200..=599 => Ok(u16::try_from(number).unwrap_or_default()),
            _ => Err(self.error(status, "a status from 200 to 599 was expected")),
        });
        let status = status.transpose()?;
        let mut headers = Vec::new();
        for (name, values) in answer.headers.iter().flat_map(|headers| &headers.0) {
            self.field_name(name)?;
            for value in &values.0 {
                headers.push((name.get_ref().clone(), self.field_value(value, captures)?));
            }
        }
        let body = match (&answer.body, &answer.zeros, &answer.file, &answer.folder) {
            (Some(body), None, None, None) => Body::Text(self.template(body, captures)?),
            (None, Some(zeros), None, None) => Body::Zeros(self.zeros(zeros)?),
            (None, None, None, None) if answer.path.is_none() => Body::Text(Template::default()),
            (None, None, file, folder) => {
                Body::File(self.files(written, file, folder, &answer.path, captures)?)
            }
            _ => {
                let problem = "`answer` has one of a body, zeros and a file";
                return Err(self.error(written, problem));
            }
        };
        if matches!(status, Some(204 | 304))
            && !matches!(&body, Body::Text(t) if t.fixed() == Some(""))
        {
            return Err(self.error(written, "an answer with status 204 or 304 has no body"));
        }
        Ok(Action::Answer(AnswerRule { status, headers, body }))
    }

    /// So many zeros, for a test of speed.
    fn zeros(&self, count: &Spanned<Bytes>) -> Result<bytes::Bytes, RulesError> {
        let length = usize::try_from(count.get_ref().0).ok().filter(|length| *length <= MOST_ZEROS);
        let length =
            length.ok_or_else(|| self.error(count, "at most 64 MiB of zeros were expected"))?;
        // Memory that is zero and never written costs nothing.
        Ok(bytes::Bytes::from(vec![0; length]))
    }

    pub(super) fn map_local(
        &self,
        written: &Spanned<WrittenMapLocal>,
        captures: Captures<'_>,
    ) -> Result<Action, RulesError> {
        let WrittenMapLocal { file, folder, path, missing, content_type } = written.get_ref();
        let files = self.files(written, file, folder, path, captures)?;
        let missing = match missing {
            Some(WrittenMissing::Net) => Missing::Net,
            Some(WrittenMissing::NotFound) | None => Missing::NotFound,
        };
        let content_type = content_type.as_ref().map(|content_type| {
            let value = self.field_value(content_type, &[])?;
            Ok(value.fixed().map(str::to_owned))
        });
        let content_type = content_type.transpose()?.flatten();
        Ok(Action::MapLocal(FileRule { files, missing, content_type }))
    }

    fn files<T>(
        &self,
        action: &Spanned<T>,
        file: &Option<Spanned<String>>,
        folder: &Option<Spanned<String>>,
        path: &Option<Spanned<String>>,
        captures: Captures<'_>,
    ) -> Result<Files, RulesError> {
        match (file, folder, path) {
            (Some(file), None, None) => {
                let template = self.template(file, captures)?;
                let Some(fixed) = template.fixed() else {
                    let problem = "`file` names one file; for places to fill in use \
                                   folder = \"…\" and path = \"{file}\"";
                    return Err(self.error(file, problem));
                };
                Ok(Files::File(self.beside(file, fixed)?))
            }
            (None, Some(folder), path) => {
                let path = match path {
                    Some(path) => self.template(path, captures)?,
                    None => {
                        self.template(&Spanned::new(folder.span(), "{file}".to_owned()), &[])?
                    }
                };
                Ok(Files::Folder { folder: self.beside(folder, folder.get_ref())?, path })
            }
            _ => {
                let problem = "a file = \"…\" was expected, or a folder = \"…\", with \
                               path = \"{file}\" for the file in it";
                Err(self.error(action, problem))
            }
        }
    }

    /// A path that stands in the file, which is meant from the file's own folder on.
    fn beside(&self, place: &Spanned<String>, path: &str) -> Result<PathBuf, RulesError> {
        if path.is_empty() || path.contains('\0') {
            return Err(self.error(place, "a path was expected"));
        }
        let folder = Path::new(self.file).parent().unwrap_or_else(|| Path::new(""));
        Ok(folder.join(path))
    }

    pub(super) fn map_remote(
        &self,
        written: &Spanned<WrittenMapRemote>,
        captures: Captures<'_>,
    ) -> Result<Action, RulesError> {
        let remote = written.get_ref();
        if remote.scheme.is_none() && remote.host.is_none() && remote.path.is_none() {
            let problem = "`map-remote` needs a scheme, a host (with a port where it has one) or a \
                           path";
            return Err(self.error(written, problem));
        }
        let template = |text: &Option<Spanned<String>>| {
            text.as_ref().map(|text| self.template(text, captures)).transpose()
        };
        let (host, path) = (template(&remote.host)?, template(&remote.path)?);
        if let (Some(written), Some(host)) = (&remote.host, &host)
            && let Some(fixed) = host.fixed()
        {
            consoletap_flow::Authority::parse(fixed, Some(80)).map_err(|error| {
                self.error(written, format!("{fixed:?} is no host with an optional port: {error}"))
            })?;
        }
        if let (Some(written), Some(path)) = (&remote.path, &path)
            && !path.literals().bytes().all(|byte| byte.is_ascii_graphic())
        {
            return Err(self.error(
                written,
                "a path as it stands in a URL was expected, with other characters percent-encoded",
            ));
        }
        let (scheme, keep_host) = (remote.scheme, remote.keep_host);
        Ok(Action::MapRemote(RemoteRule { scheme, host, path, keep_host }))
    }
}
