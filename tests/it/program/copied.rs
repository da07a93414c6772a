//! A data directory that was copied while the program wrote to it: each file as it was at some moment, none of them the
//! same. The copy starts, and goes on from what it has.

use std::fs;

use landfall::clients::process::blocking_program;

use super::{Place, until};

#[test]
fn a_copy_that_was_made_while_it_ran_starts_and_goes_on() {
    let place = Place::new();
    place.let_go();
    let server = place.serve();
    place.push(&server, "first");
    until("the hook runs", || (place.runs() > 0).then_some(()));
    let copies = ["copy-1", "copy-2", "copy-3"];
    std::thread::scope(|scope| {
        let copying = scope.spawn(|| {
            for copy in copies {
                // What vanishes while it is copied is told, and is nothing to end for.
                blocking_program("cp").arg("-a").args([place.path("data"), place.path(copy)]).output().unwrap();
            }
        });
        let mut page = 0;
        while !copying.is_finished() || page < 4 {
            page += 1;
            place.push(&server, &format!("page {page}"));
        }
    });
    server.kill();
    for copy in copies {
        fs::rename(place.path("data"), place.path(&format!("before-{copy}"))).unwrap();
        fs::rename(place.path(copy), place.path("data")).unwrap();
        let server = place.serve();
        place.push(&server, copy);
        place.settle(&server);
        assert_eq!(fs::read_to_string(place.path("www/index.html")).unwrap(), copy);
        assert_eq!(server.terminate(), Some(0));
    }
}
