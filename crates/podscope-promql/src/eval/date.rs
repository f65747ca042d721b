//! Calendar of the date functions, in UTC, for every `i64` of seconds, as Go's `time.Unix` counts (proleptic Gregorian;
//! seconds beyond its range wrap around as Go's unsigned count of seconds does).

/// Seconds from the start of Go's absolute calendar to 1970.
const UNIX_TO_ABSOLUTE: i128 = 62_135_596_800 + (292_277_022_400 * 146_097 / 400 + 306) * 86_400;

/// The parts PromQL asks for.
pub(super) struct Date {
    pub(super) minute: f64,
    pub(super) hour: f64,
    pub(super) day_of_week: f64,
    pub(super) day_of_month: f64,
    pub(super) day_of_year: f64,
    pub(super) days_in_month: f64,
    pub(super) month: f64,
    pub(super) year: f64,
}

/// A value as whole seconds; NaN and what does not fit become the smallest number, as Go converts on x86-64.
pub(super) fn seconds_of(value: f64) -> i64 {
    if (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&value) {
        value as i64
    } else {
        i64::MIN
    }
}

impl Date {
    pub(super) fn of(seconds: i64) -> Self {
        let absolute = (i128::from(seconds) + UNIX_TO_ABSOLUTE).rem_euclid(1 << 64);
        let seconds = absolute - UNIX_TO_ABSOLUTE;
        let (days, second_of_day) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
        // Days counted from 1 March of the year 0, in eras of 400 years.
        let shifted = days + 719_468;
        let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_from_march = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * day_from_march + 2) / 153;
        let day = day_from_march - (153 * month_from_march + 2) / 5 + 1;
        let month = if month_from_march < 10 {
            month_from_march + 3
        } else {
            month_from_march - 9
        };
        let year = year_of_era + era * 400 + i128::from(month <= 2);
        let leap = year.rem_euclid(4) == 0 && (year.rem_euclid(100) != 0 || year.rem_euclid(400) == 0);
        let february = if leap { 29 } else { 28 };
        let lengths = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
        let before: i128 = lengths.iter().take(month as usize - 1).sum();
        Self {
            minute: (second_of_day / 60 % 60) as f64,
            hour: (second_of_day / 3_600) as f64,
            day_of_week: (days + 4).rem_euclid(7) as f64,
            day_of_month: day as f64,
            day_of_year: (before + day) as f64,
            days_in_month: lengths.get(month as usize - 1).copied().unwrap_or(0) as f64,
            month: month as f64,
            year: year as f64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_leap_days_and_times_before_1970() {
        let date = Date::of(1_709_210_096); // 2024-02-29 12:34:56, a Thursday
        assert_eq!((date.year, date.month, date.day_of_month), (2024.0, 2.0, 29.0));
        assert_eq!((date.hour, date.minute, date.day_of_week), (12.0, 34.0, 4.0));
        assert_eq!((date.day_of_year, date.days_in_month), (60.0, 29.0));
        let date = Date::of(-1); // 1969-12-31 23:59:59, a Wednesday
        assert_eq!(
            (date.year, date.month, date.day_of_month, date.day_of_week),
            (1969.0, 12.0, 31.0, 3.0)
        );
        assert_eq!((date.hour, date.minute, date.day_of_year), (23.0, 59.0, 365.0));
    }

    #[test]
    fn what_is_no_time_becomes_the_first_second() {
        assert_eq!(seconds_of(f64::NAN), i64::MIN);
        assert_eq!(seconds_of(1e300), i64::MIN);
        assert_eq!(seconds_of(-1.9), -1);
    }
}
