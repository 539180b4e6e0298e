//! The name that was probably meant.

/// How alike two names must be, from 0 to 1 (Jaro-Winkler), for one to be a typing mistake of the
/// other.
const ALIKE: f64 = 0.7;

/// The candidate that is most like `name`, ignoring case; `None` if none is alike.
pub fn nearest<T: AsRef<str>>(name: &str, candidates: impl Iterator<Item = T>) -> Option<T> {
    let name = name.to_lowercase();
    candidates
        .map(|candidate| (strsim::jaro_winkler(&name, &candidate.as_ref().to_lowercase()), candidate))
        .filter(|(likeness, _)| *likeness > ALIKE)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typing_mistake_finds_its_name() {
        let names = ["first_name", "last_name", "City"];
        assert_eq!(nearest("frist_name", names.iter()), Some(&"first_name"));
        assert_eq!(nearest("city", names.iter()), Some(&"City"));
        assert_eq!(nearest("zzz", names.iter()), None);
    }
}
