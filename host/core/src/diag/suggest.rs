//! "Did you mean": the nearest of the words that would have been right.

/// Longer words are not compared: nobody mistypes them, and the comparison is quadratic.
const LENGTH_MAX: usize = 64;

/// The candidate nearest to a word, when it is near enough to be what was meant.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word: Vec<char> = word.chars().take(LENGTH_MAX + 1).map(fold).collect();
    if word.is_empty() || word.len() > LENGTH_MAX {
        return None;
    }
    let mut best: Option<(usize, &str)> = None;
    for candidate in candidates {
        let other: Vec<char> = candidate.chars().take(LENGTH_MAX + 1).map(fold).collect();
        let allowed = (word.len().max(other.len()) / 3).max(1);
        if other.len() > LENGTH_MAX || word.len().abs_diff(other.len()) > allowed {
            continue;
        }
        let distance = distance(&word, &other);
        if distance <= allowed && best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// ``did you mean `…`?``, when there is something to mean.
pub fn did_you_mean<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    nearest(word, candidates).map(|candidate| format!("did you mean `{candidate}`?"))
}

/// `_`, `-` and upper case are typed for one another too often to count.
fn fold(character: char) -> char {
    if character == '_' { '-' } else { character.to_ascii_lowercase() }
}

/// Edits between two words; two neighbours swapped are one edit.
fn distance(left: &[char], right: &[char]) -> usize {
    let width = right.len() + 1;
    let mut before: Vec<usize> = vec![0; width];
    let mut above: Vec<usize> = (0..width).collect();
    for (row, &character) in left.iter().enumerate() {
        let mut line = Vec::with_capacity(width);
        line.push(row + 1);
        for (column, &other) in right.iter().enumerate() {
            let mut least = (above[column] + usize::from(character != other))
                .min(above[column + 1] + 1)
                .min(line[column] + 1);
            let swapped =
                row > 0 && column > 0 && character == right[column - 1] && left[row - 1] == other;
            if swapped {
                least = least.min(before[column - 1] + 1);
            }
            line.push(least);
        }
        before = std::mem::replace(&mut above, line);
    }
    above[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_was_meant() {
        let fields = ["depends_on", "description", "type", "region"];
        for (typed, meant) in [
            ("depend_on", Some("depends_on")),
            ("dependsOn", Some("depends_on")),
            ("depends-on", Some("depends_on")),
            ("regoin", Some("region")),
            ("Type", Some("type")),
            ("tpye", Some("type")),
            ("port", None),
            ("", None),
        ] {
            assert_eq!(nearest(typed, fields), meant, "{typed}");
        }
    }

    #[test]
    fn swaps_are_one_edit() {
        let letters = |word: &str| word.chars().collect::<Vec<_>>();
        assert_eq!(distance(&letters("abcd"), &letters("acbd")), 1);
        assert_eq!(distance(&letters("abcd"), &letters("")), 4);
        assert_eq!(distance(&letters("kitten"), &letters("sitting")), 3);
    }

    #[test]
    fn long_words_are_left_alone() {
        let long = "x".repeat(100_000);
        assert_eq!(nearest(&long, [long.as_str()]), None);
    }
}
