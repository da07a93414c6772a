//! What readers and askers get over HTTP: shapes, access, forms, the event stream, pages.

mod access;
mod api;
mod asking;
mod confirm;
mod described;
mod free;
mod github;
mod lists;
mod openapi;
mod pages;
mod places;
mod roles;
pub(crate) mod seed;

use actix_web::App;
use actix_web::http::header::{COOKIE, LOCATION, SET_COOKIE};
use actix_web::test::{TestRequest, call_service, init_service, read_body};
use landfall::web::routes;

use seed::World;

/// An answer, read to its end.
struct Said {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
}

impl Said {
    fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map_or("", |(_, value)| value)
    }

    fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("not JSON: {}", self.body))
    }

    /// The value of the first hidden field of that name.
    fn field(&self, name: &str) -> String {
        let from = self.body.split_once(&format!("name=\"{name}\" value=\"")).expect("the page has the field").1;
        from.split_once('"').unwrap().0.to_owned()
    }
}

impl World {
    async fn send(&self, request: TestRequest) -> Said {
        let state = self.state.clone();
        let app = init_service(App::new().configure(|cfg| routes(cfg, state))).await;
        let request = request.to_request();
        let (method, path) = (request.method().clone(), request.path().to_owned());
        let response = call_service(&app, request).await;
        let status = response.status().as_u16();
        let text = |value: &actix_web::http::header::HeaderValue| value.to_str().unwrap().to_owned();
        let headers = response.headers().iter().map(|(key, value)| (key.to_string(), text(value))).collect();
        let body = String::from_utf8(read_body(response).await.to_vec()).unwrap();
        let said = Said { status, headers, body };
        described::description(self).await.judge(&method, &path, &said);
        said
    }

    /// A GET with the token.
    async fn get(&self, path: &str) -> Said {
        self.send(self.bearing(TestRequest::get().uri(path))).await
    }

    fn bearing(&self, request: TestRequest) -> TestRequest {
        request.insert_header(("Authorization", format!("Bearer {}", self.token)))
    }

    /// Signs in with a browser's form; the cookie.
    async fn sign_in(&self) -> String {
        let form = [("token", self.token.as_str())];
        let said = self.send(TestRequest::post().uri("/login").set_form(form)).await;
        assert_eq!((said.status, said.header(LOCATION.as_str())), (303, "/"));
        said.header(SET_COOKIE.as_str()).split(';').next().unwrap().to_owned()
    }

    /// A GET by a browser that is signed in.
    async fn browse(&self, cookie: &str, path: &str) -> Said {
        self.send(TestRequest::get().uri(path).insert_header((COOKIE, cookie))).await
    }
}
