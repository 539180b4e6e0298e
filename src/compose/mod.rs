//! Templates and MIME.
