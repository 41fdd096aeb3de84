//! Reading Neon's timestamps: RFC 3339 in UTC. Other offsets are not read.

/// Milliseconds since 1970, of `2026-08-01T10:00:00Z` or `…00.123Z`.
pub(crate) fn parse_ms(text: &str) -> Option<u64> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let [year, month, day] = numbers(date, '-')?;
    let (time, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let [hour, minute, second] = numbers(time, ':')?;
    let in_range = (1970..=9999).contains(&year)
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && hour < 24
        && minute < 60
        && second <= 60;
    if !in_range {
        return None;
    }
    let millis: u64 = format!("{fraction:0<3}").get(..3)?.parse().ok()?;
    let seconds = ((days(year, month, day) * 24 + hour) * 60 + minute) * 60 + second;
    Some(seconds * 1000 + millis)
}

fn numbers(text: &str, separator: char) -> Option<[u64; 3]> {
    let parts: Vec<u64> =
        text.split(separator).map(|part| part.parse().ok()).collect::<Option<_>>()?;
    parts.try_into().ok()
}

/// Days from 1970-01-01; years begin in March here, so that the leap day is the last.
fn days(year: u64, month: u64, day: u64) -> u64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let of_years = year * 365 + year / 4 - year / 100 + year / 400;
    (of_years + (month * 153 + 2) / 5 + day) - 719_469
}

#[cfg(test)]
mod tests {
    use super::parse_ms;

    #[test]
    fn reads_what_neon_writes() {
        assert_eq!(parse_ms("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(parse_ms("2026-01-01T00:00:00Z"), Some(1_767_225_600_000));
        assert_eq!(parse_ms("2024-02-29T23:59:59.5Z"), Some(1_709_251_199_500));
        assert_eq!(parse_ms("2026-08-01T10:00:00.123456Z"), Some(1_785_578_400_123));
    }

    #[test]
    fn refuses_what_it_cannot_read() {
        for text in [
            "",
            "2026-08-01",
            "2026-08-01T10:00:00+02:00",
            "2026-13-01T10:00:00Z",
            "aZ",
            "0001-01-01T00:00:00Z",
        ] {
            assert_eq!(parse_ms(text), None, "{text}");
        }
    }
}
