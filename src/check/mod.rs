//! `verify`: the specification's rules held against a store; `diff`: two images compared.
