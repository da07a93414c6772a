//! Dashboard, JSON API and event stream: views of the board. No rules live here.
