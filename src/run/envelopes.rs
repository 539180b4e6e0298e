//! Which recipients may share an envelope when all get the same text.

use std::collections::HashSet;

use super::task::Task;
use crate::mail::Address;

/// Rows in envelopes, in the order in which they came.
///
/// With `one_domain`, recipients of several domains get separate envelopes. So do recipients that
/// need SMTPUTF8: it would be demanded for the rest as well, and not every server has it
/// (RFC 6531 §3.4). So do two rows with one address: a server may take the second RCPT for a
/// mistake and deliver one copy.
#[derive(Debug)]
pub(super) struct Envelopes {
    one_domain: bool,
    list: Vec<Sharing>,
}

/// Rows that share an envelope.
#[derive(Debug)]
struct Sharing {
    needs_smtputf8: bool,
    tasks: Vec<Task>,
    recipients: Vec<Address>,
    known: HashSet<Address>,
}

impl Envelopes {
    /// No envelopes yet.
    pub(super) fn new(one_domain: bool) -> Self {
        Self { one_domain, list: Vec::new() }
    }

    /// Puts a row into the first envelope that it fits in, or into a new one.
    pub(super) fn add(&mut self, task: Task, recipient: Address) {
        let needs_smtputf8 = recipient.needs_smtputf8();
        let fits = |envelope: &&mut Sharing| {
            envelope.needs_smtputf8 == needs_smtputf8
                && (!self.one_domain || envelope.recipients[0].domain() == recipient.domain())
                && !envelope.known.contains(&recipient)
        };
        let envelope = match self.list.iter_mut().find(fits) {
            Some(envelope) => envelope,
            None => {
                let (tasks, recipients, known) = (Vec::new(), Vec::new(), HashSet::new());
                self.list.push(Sharing { needs_smtputf8, tasks, recipients, known });
                self.list.last_mut().expect("it was just added")
            }
        };
        envelope.tasks.push(task);
        envelope.known.insert(recipient.clone());
        envelope.recipients.push(recipient);
    }

    /// The rows and the recipients of each envelope; none is empty.
    pub(super) fn into_rows(self) -> impl Iterator<Item = (Vec<Task>, Vec<Address>)> {
        self.list.into_iter().map(|envelope| (envelope.tasks, envelope.recipients))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rows of each envelope.
    fn envelopes(one_domain: bool, emails: &[&str]) -> Vec<Vec<u32>> {
        let mut all = Envelopes::new(one_domain);
        for (row, email) in (0..).zip(emails) {
            all.add(Task::fresh(row), Address::parse(email).unwrap());
        }
        let rows = |(tasks, recipients): (Vec<Task>, Vec<Address>)| {
            let own = tasks.iter().map(|task| Address::parse(emails[task.row as usize]).unwrap());
            assert!(own.eq(recipients), "each row with its own address");
            tasks.iter().map(|task| task.row).collect()
        };
        all.into_rows().map(rows).collect()
    }

    #[test]
    fn who_needs_smtputf8_and_who_is_in_the_list_twice_gets_another_envelope() {
        let emails =
            ["a@x.example", "é@x.example", "b@y.example", "a@x.example", "ü@x.example", "a@x.example"];
        assert_eq!(envelopes(false, &emails), [vec![0, 2], vec![1, 4], vec![3], vec![5]]);
    }

    #[test]
    fn domains_are_separated_where_they_must() {
        let emails = ["a@x.example", "b@y.example", "c@X.example", "d@y.example"];
        assert_eq!(envelopes(true, &emails), [[0, 2], [1, 3]]);
        assert_eq!(envelopes(false, &emails), [[0, 1, 2, 3]]);
    }
}
