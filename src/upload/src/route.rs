//! Which endpoint to try, where there are several in order of preference. `drain` asks and reports;
//! `uploader` goes back to the preferred one at each interval.
//!
//! ```text
//! the one that served last -> the preferred one -> the others in their order -> back off
//! ```
//!
//! # Invariants
//! - Another endpoint is tried only where one is out: no connection, no HTTP, 5xx. What the preferred
//!   one says of its own (a hold, 429, a refusal) counts, and nobody else is asked.
//! - A fallback that holds or fails never hides what is in the way of the preferred one.
//! - Every endpoint stands under the same pins, roots and proxy.

use crate::{Destination, Endpoint, UploadSettings};

/// Destinations in order of preference, and which one serves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Route {
    destinations: Vec<Destination>,
    serving: usize,
}

impl Route {
    /// The route of these settings, at the preferred endpoint.
    pub(crate) fn of(settings: &UploadSettings) -> Self {
        let Some(preferred) = &settings.destination else { return Self::default() };
        let fallbacks = settings.fallbacks.iter().filter(|other| **other != preferred.endpoint);
        let others = fallbacks
            .map(|endpoint| Destination { endpoint: endpoint.clone(), ..preferred.clone() });
        let destinations = std::iter::once(preferred.clone()).chain(others).collect();
        Self { destinations, serving: 0 }
    }

    /// Whether both lead to the same endpoints in the same way.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.destinations == other.destinations
    }

    /// The one that serves, or would.
    pub(crate) fn serving(&self) -> Option<&Destination> {
        self.destinations.get(self.serving)
    }

    /// A destination by its place.
    pub(crate) fn at(&self, place: usize) -> Option<&Destination> {
        self.destinations.get(place)
    }

    /// Places in the order in which a drain tries them: the one that serves, or the preferred one,
    /// before the others.
    pub(crate) fn order(&self, begin_with_preferred: bool) -> Vec<usize> {
        let first = if begin_with_preferred { 0 } else { self.serving };
        let others = (0..self.destinations.len()).filter(|place| *place != first);
        std::iter::once(first).chain(others).collect()
    }

    /// This endpoint takes records. Whether that is news.
    pub(crate) fn serves(&mut self, endpoint: &Endpoint) -> bool {
        let place = self.destinations.iter().position(|to| to.endpoint == *endpoint);
        place.is_some_and(|place| std::mem::replace(&mut self.serving, place) != place)
    }

    /// None serves: the preferred one is what is said and tried.
    pub(crate) fn prefer(&mut self) {
        self.serving = 0;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use candor_model::Level;

    use super::*;
    use crate::Compression;

    fn settings(fallbacks: &[&str]) -> UploadSettings {
        UploadSettings {
            enabled: true,
            ceiling: Level::Full,
            hold: None,
            destination: Some(Destination {
                endpoint: "https://a".parse().unwrap(),
                pins: Vec::new(),
                allow_single_pin: false,
                ca_file: None,
                client_cert: None,
                client_key: None,
                proxy: Some(("proxy".into(), 3128)),
                compression: Compression::Zstd,
            }),
            fallbacks: fallbacks.iter().map(|text| text.parse().unwrap()).collect(),
            interval: Duration::from_secs(1),
            is_sparing: false,
            resource: Arc::default(),
            max_bytes_per_day: None,
        }
    }

    #[test]
    fn the_preferred_endpoint_comes_first_and_after_the_one_that_serves() {
        let mut route = Route::of(&settings(&["https://b", "https://a", "https://c"]));
        assert_eq!(route.order(false), [0, 1, 2], "an endpoint that is named twice is tried once");
        let third = "https://c".parse().unwrap();
        assert!(route.serves(&third));
        assert!(!route.serves(&third));
        assert_eq!(route.order(false), [2, 0, 1]);
        assert_eq!(route.order(true), [0, 1, 2]);
        assert_eq!(route.serving().unwrap().endpoint.host, "c");
        route.prefer();
        assert_eq!(route.serving().unwrap().endpoint.host, "a");
    }

    #[test]
    fn every_endpoint_stands_under_the_same_conditions() {
        let route = Route::of(&settings(&["https://b"]));
        let (a, b) = (route.at(0).unwrap(), route.at(1).unwrap());
        assert_eq!(Destination { endpoint: a.endpoint.clone(), ..b.clone() }, *a);
    }

    #[test]
    fn without_a_preferred_endpoint_there_is_no_route() {
        let settings = UploadSettings { destination: None, ..settings(&["https://b"]) };
        assert_eq!(Route::of(&settings).serving(), None);
    }
}
