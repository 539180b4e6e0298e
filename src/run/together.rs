//! Which recipients may stand in one envelope when all get the same text.

use std::collections::HashSet;

use super::event::Task;
use crate::mail::Address;

/// Rows in groups, each for one envelope, in the order in which they came.
///
/// Recipients that need SMTPUTF8 stand apart, since it would be asked for the others as well and not every server has
/// it (RFC 6531 §3.4). Two rows with one address stand apart too: a server may take the second RCPT for a slip, and
/// deliver one copy.
#[derive(Debug, Default)]
pub struct Groups(Vec<Group>);

#[derive(Debug)]
struct Group {
    needs_smtputf8: bool,
    tasks: Vec<Task>,
    recipients: Vec<Address>,
    known: HashSet<Address>,
}

impl Groups {
    pub fn add(&mut self, task: Task, recipient: Address) {
        let needs_smtputf8 = recipient.needs_smtputf8();
        let fits =
            |group: &&mut Group| group.needs_smtputf8 == needs_smtputf8 && !group.known.contains(&recipient);
        let group = match self.0.iter_mut().find(fits) {
            Some(group) => group,
            None => {
                self.0.push(Group {
                    needs_smtputf8,
                    tasks: vec![],
                    recipients: vec![],
                    known: HashSet::new(),
                });
                self.0.last_mut().expect("it was just added")
            }
        };
        group.tasks.push(task);
        group.known.insert(recipient.clone());
        group.recipients.push(recipient);
    }

    /// The rows and the recipients of each group; none is empty.
    pub fn into_envelopes(self) -> impl Iterator<Item = (Vec<Task>, Vec<Address>)> {
        self.0.into_iter().map(|group| (group.tasks, group.recipients))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_needs_smtputf8_and_who_stands_in_the_list_twice_gets_an_envelope_of_his_own() {
        let emails =
            ["a@x.example", "é@x.example", "b@x.example", "a@x.example", "ü@x.example", "a@x.example"];
        let mut groups = Groups::default();
        for (row, email) in (0..).zip(emails) {
            groups.add(Task::fresh(row), Address::parse(email).unwrap());
        }
        let rows = |tasks: &[Task]| tasks.iter().map(|task| task.row).collect::<Vec<_>>();
        let groups: Vec<_> = groups.into_envelopes().map(|(tasks, _)| rows(&tasks)).collect();
        assert_eq!(groups, [vec![0, 2], vec![1, 4], vec![3], vec![5]]);
    }
}
