//! Which text a tool wants, by the header `Accept` (RFC 9110, section 12.5.1).

/// The forms that a snapshot is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextForm {
    /// Prometheus' exposition format, version 0.0.4.
    Prometheus,
    /// OpenMetrics, version 1.0.
    OpenMetrics,
}

impl TextForm {
    /// The form for whoever sends these `Accept` headers: OpenMetrics where it is named and nothing is preferred to it.
    /// Whoever takes neither gets Prometheus' form all the same, which people can read.
    pub fn of<'a>(accept: impl IntoIterator<Item = &'a str>) -> Self {
        let (mut open_metrics, mut text) = (0, None);
        for range in accept.into_iter().flat_map(|header| header.split(',')) {
            let Some(range) = MediaRange::parse(range) else {
                continue;
            };
            match range.media_type.as_str() {
                "application/openmetrics-text" if range.is_known_version(&["1.0.0", "0.0.1"]) => {
                    open_metrics = open_metrics.max(range.quality);
                }
                // Of what says nothing of a version the most exact counts.
                "text/plain" if range.is_known_version(&["0.0.4"]) => keep(&mut text, 2, range.quality),
                "text/*" => keep(&mut text, 1, range.quality),
                "*/*" => keep(&mut text, 0, range.quality),
                _ => {}
            }
        }
        let text = text.map_or(0, |(_, quality)| quality);
        if open_metrics > 0 && open_metrics >= text {
            Self::OpenMetrics
        } else {
            Self::Prometheus
        }
    }

    /// The media type of the text.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

fn keep(kept: &mut Option<(u8, u16)>, exactness: u8, quality: u16) {
    *kept = (*kept).max(Some((exactness, quality)));
}

/// One of the types that somebody takes.
struct MediaRange {
    media_type: String,
    version: Option<String>,
    /// In thousandths.
    quality: u16,
}

impl MediaRange {
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(';').map(str::trim);
        let media_type = parts.next().filter(|name| !name.is_empty())?.to_ascii_lowercase();
        let mut range = Self {
            media_type,
            version: None,
            quality: 1000,
        };
        for parameter in parts {
            let Some((name, value)) = parameter.split_once('=') else {
                continue;
            };
            match name.trim().to_ascii_lowercase().as_str() {
                "q" => range.quality = quality(value.trim())?,
                "version" => range.version = Some(value.trim().trim_matches('"').to_owned()),
                _ => {}
            }
        }
        Some(range)
    }

    fn is_known_version(&self, known: &[&str]) -> bool {
        self.version
            .as_deref()
            .is_none_or(|version| known.contains(&version))
    }
}

/// A weight in thousandths, of which three digits are written at most.
fn quality(text: &str) -> Option<u16> {
    let weight: f32 = text.parse().ok()?;
    (text.len() <= "0.000".len() && (0.0..=1.0).contains(&weight)).then(|| (weight * 1000.0).round() as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tool_gets_the_text_that_it_prefers() {
        use TextForm::{OpenMetrics, Prometheus};
        let of_prometheus = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,\
            application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,\
            text/plain;version=0.0.4;q=0.2,*/*;q=0.1";
        let rows: [(&[&str], TextForm); 16] = [
            (&[], Prometheus),
            (&[""], Prometheus),
            (&["*/*"], Prometheus),
            (&["text/html, */*"], Prometheus),
            (&["image/png"], Prometheus),
            (&[of_prometheus], OpenMetrics),
            (&["application/openmetrics-text"], OpenMetrics),
            (&["Application/OpenMetrics-Text; Version=\"1.0.0\""], OpenMetrics),
            (
                &["application/openmetrics-text; version=2.0.0, text/plain; q=0.1"],
                Prometheus,
            ),
            (&["application/openmetrics-text; q=0"], Prometheus),
            (
                &["application/openmetrics-text; q=0.3, text/plain; q=0.4"],
                Prometheus,
            ),
            (
                &["application/openmetrics-text; q=0.3", "text/plain; q=0.4"],
                Prometheus,
            ),
            (
                &["application/openmetrics-text; q=0.3, text/plain; q=0.2, */*"],
                OpenMetrics,
            ),
            (&["text/plain, application/openmetrics-text"], OpenMetrics),
            (&["application/openmetrics-text; q=2, text/plain"], Prometheus),
            (&["application/openmetrics-text; q=nan"], Prometheus),
        ];
        for (accept, form) in rows {
            assert_eq!(TextForm::of(accept.iter().copied()), form, "{accept:?}");
        }
    }
}
