//! "Did you mean".

/// The candidate that a typing error or two turned into `word`.
pub(crate) fn nearest<'c>(word: &str, candidates: impl Iterator<Item = &'c str>) -> Option<&'c str> {
    // No candidate is near a word of this length, and comparing takes time.
    if word.len() > 40 {
        return None;
    }
    let word = word.to_ascii_lowercase();
    let allowed = if word.len() < 5 { 1 } else { 2 };
    candidates
        .map(|candidate| (strsim::damerau_levenshtein(&word, &candidate.to_ascii_lowercase()), candidate))
        .filter(|(distance, candidate)| *distance <= allowed && *distance < candidate.len())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}
