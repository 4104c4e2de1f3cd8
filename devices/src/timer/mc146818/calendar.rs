//! The time as the chip's registers hold it: each a byte, binary or BCD, hours of 12 or 24.

pub const DAY: i64 = 86_400;

/// How bytes stand for numbers: register B.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Form {
    /// Binary, not BCD.
    pub binary: bool,
    /// 24 hours a day, not twice 12.
    pub long_day: bool,
}

/// Bit 7 of an hour of 12: it is after noon.
const PM: u8 = 0x80;

impl Form {
    /// The byte for a number below 100.
    pub fn encode(self, number: i64) -> u8 {
        let number = number.rem_euclid(100) as u8;
        if self.binary {
            number
        } else {
            ((number / 10) << 4) | (number % 10)
        }
    }

    /// The number that a byte stands for. A guest may write what is none: then one all the same.
    pub fn decode(self, byte: u8) -> i64 {
        i64::from(if self.binary {
            byte
        } else {
            (byte >> 4) * 10 + (byte & 0xf)
        })
    }

    /// The byte for an hour.
    pub fn encode_hour(self, hour: i64) -> u8 {
        if self.long_day {
            return self.encode(hour);
        }
        let of_12 = match hour % 12 {
            0 => 12,
            hour => hour,
        };
        self.encode(of_12) | if hour < 12 { 0 } else { PM }
    }

    /// The hour that a byte stands for.
    pub fn decode_hour(self, byte: u8) -> i64 {
        if self.long_day {
            return self.decode(byte);
        }
        self.decode(byte & !PM) % 12 + if byte & PM != 0 { 12 } else { 0 }
    }
}

/// Days from 1970-01-01 to this date of the Gregorian calendar. Years begin in March, so that the day that some of them
/// have more is the last one.
pub fn days_to(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    // March to July and August to December have 153 days.
    year * 365 + leap_days + (153 * month + 2) / 5 + day - 1 - 719_468
}

/// The date so many days after 1970-01-01: year, month, day.
pub fn date(days: i64) -> (i64, i64, i64) {
    const CYCLE: i64 = 146_097; // Days of 400 years.
    let from_march = days + 719_468;
    let of_cycle = from_march.rem_euclid(CYCLE);
    // Leap days are the last ones of 4 years (1,461 days), but for those of 100 years, but for that of 400 years.
    let year_of_cycle = (of_cycle - of_cycle / 1_460 + of_cycle / 36_524 - of_cycle / (CYCLE - 1)) / 365;
    let day_of_year = of_cycle - (365 * year_of_cycle + year_of_cycle / 4 - year_of_cycle / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let year = 400 * from_march.div_euclid(CYCLE) + year_of_cycle;
    if month < 10 {
        (year, month + 3, day)
    } else {
        (year + 1, month - 9, day)
    }
}

/// A time of the day at which the alarm goes off; `None` is any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Alarm {
    pub hour: Option<i64>,
    pub minute: Option<i64>,
    pub second: Option<i64>,
}

impl Alarm {
    /// What the alarm registers say. None if it is no time of any day.
    pub fn new(form: Form, [second, minute, hour]: [u8; 3]) -> Option<Alarm> {
        // The two upper bits of a byte that does not matter are set.
        let of = |byte: u8, number: i64, again: u8, end: i64| match byte >= 0xc0 {
            true => Some(None),
            false => (number < end && again == byte).then_some(Some(number)),
        };
        let number = |byte| (form.decode(byte), form.encode(form.decode(byte)));
        let ((second_is, second_again), (minute_is, minute_again)) = (number(second), number(minute));
        let hour_is = form.decode_hour(hour);
        Some(Alarm {
            second: of(second, second_is, second_again, 60)?,
            minute: of(minute, minute_is, minute_again, 60)?,
            hour: of(hour, hour_is, form.encode_hour(hour_is), 24)?,
        })
    }

    /// Seconds from the time of the day `from` until the alarm goes off: 1 to a day.
    pub fn after(self, from: i64) -> i64 {
        let differs = |wanted: Option<i64>, is: i64| wanted.is_some_and(|wanted| wanted != is);
        let mut at = from + 1;
        // To the next hour, minute and second, as long as they are not those.
        while at < from + DAY {
            let (hour, minute, second) = (at / 3600 % 24, at / 60 % 60, at % 60);
            at = if differs(self.hour, hour) {
                (at / 3600 + 1) * 3600
            } else if differs(self.minute, minute) {
                (at / 60 + 1) * 60
            } else if differs(self.second, second) {
                at + 1
            } else {
                break;
            };
        }
        (at - from).min(DAY)
    }
}
