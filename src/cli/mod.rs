//! Arguments, commands, diagnostics, progress, exit codes.
