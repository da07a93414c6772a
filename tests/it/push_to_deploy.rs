//! Tests of push to deploy.
