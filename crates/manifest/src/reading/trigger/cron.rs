//! `[[trigger.cron]]`: the clock.
//!
//! | key | |
//! | --- | --- |
//! | `cron_expression` | when: [six fields](crate::CronExpression) |
//! | `time_zone` | the zone that it is meant in, by its name in the IANA's database; without it UTC |
//!
//! Spin knows no `time_zone`, and takes every expression in UTC.

use chrono_tz::{TZ_VARIANTS, Tz};
use outport_policy::text;

use crate::reading::fields::{Fields, Node};
use crate::reading::trigger::event::report_value;
use crate::report::findings::Findings;
use crate::report::spelling::nearest;
use crate::source::Located;
use crate::values::cron_expression::CronExpression;

/// When the clock starts a component.
#[derive(Debug, Clone)]
pub struct CronSchedule {
    /// The times.
    pub expression: Located<CronExpression>,
    /// The zone that they are meant in. Default UTC.
    pub time_zone: Tz,
}

pub(crate) fn read_schedule(found: &mut Findings, fields: &mut Fields<'_>) -> Option<CronSchedule> {
    let expression = fields
        .require(found, "cron_expression")
        .and_then(|node| read_expression(found, node));
    let time_zone = match fields.get("time_zone") {
        None => Some(Tz::UTC),
        Some(node) => read_time_zone(found, node),
    };
    Some(CronSchedule {
        expression: expression?,
        time_zone: time_zone?,
    })
}

fn read_expression(found: &mut Findings, node: Node<'_>) -> Option<Located<CronExpression>> {
    let text = node.string(found)?;
    match CronExpression::parse(&text.value) {
        Ok(expression) => Some(Located::new(expression, text.span)),
        Err(error) => {
            report_value(found, node.key(), &text.span, error.to_string(), error.help());
            None
        }
    }
}

fn read_time_zone(found: &mut Findings, node: Node<'_>) -> Option<Tz> {
    let text = node.string(found)?;
    let zone = text.value.parse().ok();
    if zone.is_none() {
        let wrong = format!("is no time zone: `{}`", text::excerpt(&text.value));
        let names = TZ_VARIANTS.iter().map(|zone| zone.name());
        let help = match nearest(&text.value, names) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => {
                "write a name of the IANA's database, such as `Europe/Berlin`, or leave it out for UTC".into()
            }
        };
        report_value(found, node.key(), &text.span, wrong, &help);
    }
    zone
}
