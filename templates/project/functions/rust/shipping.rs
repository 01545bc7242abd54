//! What it costs to send things.

use serde::{Deserialize, Serialize};

/// A parcel on the scales.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Parcel {
    /// With everything in it.
    pub kilograms: f64,
    #[serde(default)]
    pub fragile: bool,
}

/// What sending costs, and when it arrives.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub struct Offer {
    pub price: f64,
    pub days: u32,
}

/// How fast it has to be.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Speed {
    Standard,
    NextDay,
}

/// The price of sending parcels together.
///
/// # Arguments
///
/// * `parcels` - what to send
/// * `speed` - how fast it has to be (default standard)
///
/// Effect: read
pub fn quote(parcels: &[Parcel], speed: Speed) -> Result<Offer, String> {
    if let Some(parcel) = parcels.iter().find(|parcel| parcel.kilograms <= 0.0) {
        return Err(format!("a parcel cannot weigh {} kg", parcel.kilograms));
    }
    let each: f64 = parcels.iter().map(|parcel| 4.0 + parcel.kilograms * 0.5 + if parcel.fragile { 2.0 } else { 0.0 }).sum();
    Ok(match speed {
        Speed::Standard => Offer { price: each, days: 3 },
        Speed::NextDay => Offer { price: each * 2.0, days: 1 },
    })
}
