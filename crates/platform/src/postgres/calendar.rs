//! Dates and times between PostgreSQL, which counts from 2000, and the calendar. The calendar is Gregorian throughout, and
//! has a year 0, which is 1 BC.

/// Year, month and day.
pub(super) type Date = (i32, u8, u8);
/// Hour, minute, second and nanosecond.
pub(super) type Time = (u8, u8, u8, u32);

/// The date that is so many days after 2000-01-01; none beyond what a year can be.
pub(super) fn date_of(days: i64) -> Option<Date> {
    // Years begin in March here, so that the day that some have is their last: 400 of them are 146,097 days.
    let days = days + DAYS_TO_2000;
    let (era, day_of_era) = (days.div_euclid(DAYS_OF_ERA), days.rem_euclid(DAYS_OF_ERA));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12 + 1;
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    Some((
        i32::try_from(year).ok()?,
        u8::try_from(month).ok()?,
        u8::try_from(day).ok()?,
    ))
}

/// The time that is so many microseconds after midnight; the last one is 24:00:00.
pub(super) fn time_of(micros: i64) -> Option<Time> {
    if !(0..=MICROS_OF_DAY).contains(&micros) {
        return None;
    }
    let seconds = micros / MICROS;
    Some((
        u8::try_from(seconds / 3600).ok()?,
        u8::try_from(seconds / 60 % 60).ok()?,
        u8::try_from(seconds % 60).ok()?,
        u32::try_from(micros % MICROS).ok()? * 1000,
    ))
}

/// Date and time so many microseconds after 2000-01-01.
pub(super) fn date_and_time_of(micros: i64) -> Option<(Date, Time)> {
    let date = date_of(micros.div_euclid(MICROS_OF_DAY))?;
    Some((date, time_of(micros.rem_euclid(MICROS_OF_DAY))?))
}

/// Date and time so many seconds after 1970-01-01.
pub(super) fn date_and_time_of_unix(seconds: i64) -> Option<(Date, Time)> {
    let days = seconds.div_euclid(SECONDS_OF_DAY);
    let date = date_of(days - DAYS_FROM_1970)?;
    Some((date, time_of(seconds.rem_euclid(SECONDS_OF_DAY) * MICROS)?))
}

/// A date as PostgreSQL reads it, whatever its settings.
pub(super) fn date_text((year, month, day): Date) -> String {
    let (year, era) = if year > 0 {
        (i64::from(year), "")
    } else {
        (1 - i64::from(year), " BC")
    };
    format!("{year:04}-{month:02}-{day:02}{era}")
}

/// A time as PostgreSQL reads it.
pub(super) fn time_text((hour, minute, second, nanosecond): Time) -> String {
    format!("{hour:02}:{minute:02}:{second:02}.{nanosecond:09}")
}

/// Date and time in UTC as PostgreSQL reads it. Where the column has no time zone, that of the text is passed over.
pub(super) fn date_and_time_text(date: Date, time: Time) -> String {
    let text = date_text(date);
    let (date, era) = text.split_once(' ').unwrap_or((&text, ""));
    format!("{date} {}+00 {era}", time_text(time))
        .trim_end()
        .to_owned()
}

/// From 0000-03-01 to 2000-01-01.
const DAYS_TO_2000: i64 = 730_425;
const DAYS_OF_ERA: i64 = 146_097;
const DAYS_FROM_1970: i64 = 10_957;
const MICROS: i64 = 1_000_000;
const SECONDS_OF_DAY: i64 = 86_400;
const MICROS_OF_DAY: i64 = SECONDS_OF_DAY * MICROS;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_dates() {
        for (days, date) in [
            (0, (2000, 1, 1)),
            (-1, (1999, 12, 31)),
            (59, (2000, 2, 29)),
            (60, (2000, 3, 1)),
            (366, (2001, 1, 1)),
            (-10_957, (1970, 1, 1)),
            (9_830, (2026, 11, 30)),
            // What PostgreSQL says of `select 'DATE'::date - '2000-01-01'::date`.
            (-730_119, (1, 1, 1)),
            (-730_120, (0, 12, 31)),
            (-2_451_507, (-4712, 1, 1)),
            (2_145_031_948, (5_874_897, 12, 31)),
        ] {
            assert_eq!(date_of(days), Some(date), "{days}");
        }
        // One day after the other, over the ends of centuries.
        let mut last = date_of(-100_000).unwrap();
        for days in -99_999..200_000 {
            let date = date_of(days).unwrap();
            let next_day = date.0 == last.0 && date.1 == last.1 && date.2 == last.2 + 1;
            let next_month = date.2 == 1 && last.2 >= 28 && date.1 == last.1 % 12 + 1;
            assert!(next_day || next_month, "{last:?} {date:?}");
            last = date;
        }
        assert_eq!(date_of(i64::from(i32::MAX) * 400), None);
    }

    #[test]
    fn microseconds_are_times() {
        assert_eq!(time_of(0), Some((0, 0, 0, 0)));
        assert_eq!(time_of(86_399_999_999), Some((23, 59, 59, 999_999_000)));
        assert_eq!(time_of(86_400_000_000), Some((24, 0, 0, 0)));
        assert_eq!(time_of(86_400_000_001), None);
        assert_eq!(time_of(-1), None);
        let last = ((1999, 12, 31), (23, 59, 59, 999_999_000));
        assert_eq!(date_and_time_of(-1), Some(last));
        assert_eq!(date_and_time_of_unix(-1), Some(((1969, 12, 31), (23, 59, 59, 0))));
        assert_eq!(
            date_and_time_of_unix(951_782_400),
            Some(((2000, 2, 29), (0, 0, 0, 0)))
        );
        assert_eq!(date_and_time_of_unix(i64::MIN), None);
    }

    #[test]
    fn what_the_server_reads_is_the_same_in_every_style() {
        assert_eq!(date_text((2026, 1, 2)), "2026-01-02");
        assert_eq!(date_text((0, 3, 15)), "0001-03-15 BC");
        assert_eq!(date_text((-43, 3, 15)), "0044-03-15 BC");
        assert_eq!(time_text((1, 2, 3, 4000)), "01:02:03.000004000");
        assert_eq!(
            date_and_time_text((-43, 3, 15), (12, 0, 0, 0)),
            "0044-03-15 12:00:00.000000000+00 BC"
        );
        assert_eq!(
            date_and_time_text((2026, 1, 2), (3, 4, 5, 6)),
            "2026-01-02 03:04:05.000000006+00"
        );
        assert_eq!(date_text((i32::MIN, 1, 1)), "2147483649-01-01 BC");
    }
}
