//! A CodeDeploy world over HTTP.
