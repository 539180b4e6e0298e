//! The frozen plan, the run directory, the manifest.
