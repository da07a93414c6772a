//! Tests of codedeploy.
