//! What a request holds: `type`, `timestamp` and `data`, as Standard Webhooks advises.

use bytes::Bytes;
use serde_json::{Value, json};

/// An event.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Item {
    /// Its id.
    pub id: String,
    /// When it happened.
    pub at: String,
    /// Its kind.
    pub kind: &'static str,
    /// All of it.
    pub data: Value,
}

/// Events that go together, and how far their reader is with them.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Batch {
    /// The events; none where only the place moves.
    pub items: Vec<Item>,
    /// The run.
    pub run: String,
    /// The cursor behind the last event.
    pub cursor: String,
}

/// A request, without its signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Message {
    /// The same for the same events.
    pub id: String,
    /// The body.
    pub body: Bytes,
    /// How many events it holds.
    pub events: u64,
}

impl Message {
    /// One event as it is, or an event of type `events` that holds several.
    pub(super) fn new(mut items: Vec<Item>, is_single: bool) -> Self {
        let events = items.len() as u64;
        let (id, value) = match items.pop() {
            Some(Item { id, at, kind, data }) if is_single && items.is_empty() => {
                (id, json!({ "type": kind, "timestamp": at, "data": data }))
            }
            Some(last) => {
                let at = last.at.clone();
                items.push(last);
                let mut ids = blake3::Hasher::new_derive_key("mailrun webhook batch 1");
                items.iter().for_each(|item| _ = ids.update(item.id.as_bytes()));
                let id = ids.finalize().to_hex()[..32].to_owned();
                let data: Vec<Value> = items.into_iter().map(|item| item.data).collect();
                (id, json!({ "type": "events", "timestamp": at, "data": data }))
            }
            None => (String::new(), Value::Null),
        };
        Self { id, body: value.to_string().into(), events }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(id: &str) -> Item {
        Item { id: id.to_owned(), at: format!("at {id}"), kind: "bounced", data: json!({ "id": id }) }
    }

    #[test]
    fn one_event_is_itself_and_several_are_a_list() {
        let one = Message::new(vec![item("a")], true);
        assert_eq!(one.id, "a");
        assert_eq!(&one.body[..], br#"{"type":"bounced","timestamp":"at a","data":{"id":"a"}}"#);
        let two = Message::new(vec![item("a"), item("b")], false);
        let body = br#"{"type":"events","timestamp":"at b","data":[{"id":"a"},{"id":"b"}]}"#;
        assert_eq!((&two.body[..], two.events), (&body[..], 2));
        assert_eq!(two.id, Message::new(vec![item("a"), item("b")], false).id);
        assert_ne!(two.id, Message::new(vec![item("b"), item("a")], false).id);
        assert!(Message::new(vec![item("a")], false).body.starts_with(br#"{"type":"events""#));
    }
}
