//! All settings, from the files that declare them.

use super::{
    access,
    setting::{self, Setting},
};

const COUNT: usize = setting::ALL.len() + access::ALL.len();

/// Every setting, in the order in which they are shown.
pub const ALL: &[&Setting] = &joined();

const fn joined() -> [&'static Setting; COUNT] {
    let mut all = [setting::ALL[0]; COUNT];
    let mut index = 0;
    while index < COUNT {
        all[index] = match index.checked_sub(setting::ALL.len()) {
            None => setting::ALL[index],
            Some(index) => access::ALL[index],
        };
        index += 1;
    }
    all
}
