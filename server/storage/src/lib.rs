//! Objects behind `s3://` addresses and folders.
