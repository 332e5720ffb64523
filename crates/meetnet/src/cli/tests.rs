use clap::CommandFactory;

use super::Arguments;

mod documentation;
mod service;

#[test]
fn the_command_line_is_consistent() {
    Arguments::command().debug_assert();
}
