//! Reports as pages: one self-contained HTML file each, read without scripts and without a network;
//! and as tables for programs.
//!
//! [`Page`] is what all pages share: document, style, and a policy (CSP) under which nothing is
//! fetched and nothing runs. What a page is given is text to it, whoever wrote it: maud escapes it.
//! Charts are inline SVG whose numbers stand in a table too.

mod chart;
mod domain;
mod page;
mod run;
mod table;

pub(crate) use chart::{Column, bar, columns};
pub(crate) use domain::domain;
pub(crate) use page::{Page, STYLE};
pub(crate) use run::{FIGURES, RunFacts, Slot, figures, parts, run, tone};
pub(crate) use table::{Cell, Failed, Format, Head, Holds, Table};
