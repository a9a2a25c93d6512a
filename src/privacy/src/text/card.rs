//! Finds payment card numbers: 13 to 19 digits, alone or in groups, with a valid check digit.

use std::ops::Range;

/// A window that is valid by chance may overlap a true number, so all windows are looked at and
/// overlapping ones are taken together.
pub(super) fn numbers(text: &str) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    let groups = super::runs(text, |c| c.is_ascii_digit());
    for (first, group) in groups.iter().enumerate() {
        let Some(end) = longest(text, &groups[first..]) else { continue };
        match found.last_mut() {
            Some(last) if group.start < last.end => last.end = last.end.max(end),
            _ => found.push(group.start..end),
        }
    }
    found
}

/// End of the longest card number that the groups make from the first on.
fn longest(text: &str, groups: &[Range<usize>]) -> Option<usize> {
    let mut digits = String::new();
    let mut best = None;
    let mut end = groups.first()?.start;
    for group in groups {
        if !matches!(&text[end..group.start], "" | " " | "-") {
            break;
        }
        digits.push_str(&text[group.clone()]);
        end = group.end;
        if digits.len() > 19 {
            break;
        }
        if digits.len() >= 13 && is_valid(&digits) {
            best = Some(end);
        }
    }
    best
}

/// The Luhn check.
fn is_valid(digits: &str) -> bool {
    let sum: u32 = digits
        .bytes()
        .rev()
        .enumerate()
        .map(|(index, digit)| match (u32::from(digit - b'0'), index % 2) {
            (digit, 0) => digit,
            (digit, _) if digit > 4 => 2 * digit - 9,
            (digit, _) => 2 * digit,
        })
        .sum();
    sum.is_multiple_of(10)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<&str> {
        numbers(text).into_iter().map(|range| &text[range]).collect()
    }

    #[test]
    fn cards_are_found_alone_in_groups_and_beside_other_numbers() {
        assert_eq!(found("4111111111111111"), ["4111111111111111"]);
        assert_eq!(found("no 10 4111 1111 1111 1111 11"), ["4111 1111 1111 1111"]);
        assert_eq!(found("x3782-822463-10005."), ["3782-822463-10005"]);
    }

    #[test]
    fn a_number_that_is_valid_by_chance_does_not_hide_the_rest_of_a_card() {
        // 14 4111 1111 1111 is valid too.
        assert_eq!(found("14 4111 1111 1111 1111"), ["14 4111 1111 1111 1111"]);
    }

    #[test]
    fn a_wrong_check_digit_or_length_is_left() {
        assert_eq!(found("4111111111111112 411111111111 41111111111111111111111"), [""; 0]);
        assert_eq!(found("4111  1111 1111 1111"), [""; 0]);
    }
}
