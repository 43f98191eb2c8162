//! What the tests of the deployment share: programs that are started, waited for and ended.
