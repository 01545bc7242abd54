//! Helps with parcels. Talk to it: sabir chat dispatcher "What does it cost to send a parcel of 2 kg?"

pub const INSTRUCTIONS: &str = "You help people who send parcels. Call shipping.quote for prices. Answer in one short sentence.";

pub const FUNCTIONS: &[&str] = &["shipping.quote"];

pub const MAX_STEPS: u32 = 4;
