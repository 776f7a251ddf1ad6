//! Finds the known word that is nearest to an unknown one, for the hint "did you mean …?".

/// No longer name is compared: comparing takes time, and of long names few are mistyped.
const LONGEST: usize = 64;
/// No more names are compared: a hint is not worth the time.
const MOST_CANDIDATES: usize = 10_000;

/// The candidate that a typing error or a few turned into `word`, whatever the case of its letters.
pub fn nearest<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    if word.len() > LONGEST {
        return None;
    }
    let word = word.to_ascii_lowercase();
    // Names of types end alike, which makes none of them near another.
    let own = |name: &str| name.strip_suffix("_t").unwrap_or(name).chars().count();
    let allowed = (own(&word) / 4).clamp(1, 3);
    candidates
        .into_iter()
        .filter(|candidate| candidate.len() <= LONGEST)
        .take(MOST_CANDIDATES)
        .map(|candidate| (strsim::osa_distance(&word, &candidate.to_ascii_lowercase()), candidate))
        .filter(|(distance, candidate)| *distance <= allowed && *distance < own(candidate))
        .min()
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_near_names_are_suggested() {
        let known = ["vm_size_t", "vm_offset_t", "int", "MACH_SEND_MSG", "x"];
        assert_eq!(nearest("vm_sise_t", known), Some("vm_size_t"));
        assert_eq!(nearest("memory_object_t", known), None);
        assert_eq!(nearest("itn", known), Some("int"));
        assert_eq!(nearest("mach_send_mgs", known), Some("MACH_SEND_MSG"));
        assert_eq!(nearest("y", known), None, "everything is near a single letter");
        assert_eq!(nearest("y_t", ["x_t"]), None, "and so it is where each has the same ending");
    }

    /// Whatever order a table gives them in.
    #[test]
    fn of_two_that_are_as_near_the_first_by_name_is_suggested() {
        assert_eq!(nearest("a_c", ["a_d", "a_b"]), Some("a_b"));
        assert_eq!(nearest("a_c", ["a_b", "a_d"]), Some("a_b"));
    }
}
