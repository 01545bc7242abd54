use crate::shipping::{quote, Offer, Parcel, Speed};
use sabir::args;

fn cup() -> Parcel {
    Parcel { kilograms: 2.0, fragile: true }
}

#[test]
fn quote_adds_up_the_parcels() {
    assert_eq!(quote(&[cup(), cup()], Speed::Standard), Ok(Offer { price: 14.0, days: 3 }));
}

#[test]
fn the_next_day_costs_twice_as_much() {
    assert_eq!(quote(&[cup()], Speed::NextDay), Ok(Offer { price: 14.0, days: 1 }));
}

#[test]
fn a_parcel_has_a_weight() {
    assert_eq!(quote(&[Parcel { kilograms: 0.0, fragile: false }], Speed::Standard), Err("a parcel cannot weigh 0 kg".to_string()));
}

#[test]
fn quote_through_the_engine() {
    let offer: Offer = sabir::call("shipping.quote", args! { parcels: [cup()], speed: "next_day" }).unwrap();
    assert_eq!(offer, Offer { price: 14.0, days: 1 });
}
