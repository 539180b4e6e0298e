//! Which recipients may stand in one envelope when all get the same text.

use std::collections::HashSet;

use super::event::Task;
use crate::mail::Address;

/// Rows in groups, each for one envelope, in the order in which they came.
///
/// Recipients of several domains stand apart where `one_domain` is set. Those that need SMTPUTF8 stand apart, since it would be asked for the others as well and not every server has
/// it (RFC 6531 §3.4). Two rows with one address stand apart too: a server may take the second RCPT for a slip, and
/// deliver one copy.
#[derive(Debug)]
pub struct Groups {
    one_domain: bool,
    groups: Vec<Group>,
}

#[derive(Debug)]
struct Group {
    needs_smtputf8: bool,
    tasks: Vec<Task>,
    recipients: Vec<Address>,
    known: HashSet<Address>,
}

impl Groups {
    pub fn new(one_domain: bool) -> Self {
        Self { one_domain, groups: Vec::new() }
    }

    pub fn add(&mut self, task: Task, recipient: Address) {
        let needs_smtputf8 = recipient.needs_smtputf8();
        let fits = |group: &&mut Group| {
            group.needs_smtputf8 == needs_smtputf8
                && (!self.one_domain || group.recipients[0].domain() == recipient.domain())
                && !group.known.contains(&recipient)
        };
        let group = match self.groups.iter_mut().find(fits) {
            Some(group) => group,
            None => {
                let (tasks, recipients, known) = (Vec::new(), Vec::new(), HashSet::new());
                self.groups.push(Group { needs_smtputf8, tasks, recipients, known });
                self.groups.last_mut().expect("it was just added")
            }
        };
        group.tasks.push(task);
        group.known.insert(recipient.clone());
        group.recipients.push(recipient);
    }

    /// The rows and the recipients of each group; none is empty.
    pub fn into_envelopes(self) -> impl Iterator<Item = (Vec<Task>, Vec<Address>)> {
        self.groups.into_iter().map(|group| (group.tasks, group.recipients))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rows of each envelope.
    fn envelopes(one_domain: bool, emails: &[&str]) -> Vec<Vec<u32>> {
        let mut groups = Groups::new(one_domain);
        for (row, email) in (0..).zip(emails) {
            groups.add(Task::fresh(row), Address::parse(email).unwrap());
        }
        let rows = |(tasks, recipients): (Vec<Task>, Vec<Address>)| {
            let own = tasks.iter().map(|task| Address::parse(emails[task.row as usize]).unwrap());
            assert!(own.eq(recipients), "each row with its own address");
            tasks.iter().map(|task| task.row).collect()
        };
        groups.into_envelopes().map(rows).collect()
    }

    #[test]
    fn who_needs_smtputf8_and_who_stands_in_the_list_twice_gets_another_envelope() {
        let emails =
            ["a@x.example", "é@x.example", "b@y.example", "a@x.example", "ü@x.example", "a@x.example"];
        assert_eq!(envelopes(false, &emails), [vec![0, 2], vec![1, 4], vec![3], vec![5]]);
    }

    #[test]
    fn domains_stand_apart_where_they_must() {
        let emails = ["a@x.example", "b@y.example", "c@X.example", "d@y.example"];
        assert_eq!(envelopes(true, &emails), [[0, 2], [1, 3]]);
        assert_eq!(envelopes(false, &emails), [[0, 1, 2, 3]]);
    }
}
