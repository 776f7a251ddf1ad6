//! The figures as pictures.

use std::error::Error;
use std::path::Path;

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::figures::{Kind, Memory, Row};

const SIZE: (u32, u32) = (960, 420);
const FONT: &str = "sans-serif";

/// A group of bars: its name, the pattern and the number of threads.
type Group<'a> = (&'a str, &'a str, u64);

/// Where pages are touched by chance.
const BY_CHANCE: &[Group<'static>] = &[
    ("read, 1 thread", "read", 1),
    ("write, 1 thread", "write", 1),
    ("read and write, 1 thread", "read and write", 1),
    ("read, 8 threads", "read", 8),
    ("write, 8 threads", "write", 8),
    ("read and write, 8 threads", "read and write", 8),
];

/// One bar after the other, of memory of a kind, for a pattern.
struct Plot<'a> {
    file: &'a str,
    title: &'a str,
    unit: &'a str,
    groups: &'a [Group<'a>],
    value: fn(&Row) -> f64,
}

const PLOTS: [Plot<'static>; 3] = [
    Plot {
        file: "paging-faults.svg",
        title: "Faults a second, by chance (more is better)",
        unit: "faults a second",
        groups: BY_CHANCE,
        value: Row::rate,
    },
    Plot {
        file: "paging-latency.svg",
        title: "99 of 100 faults take no longer than this (less is better)",
        unit: "microseconds",
        groups: BY_CHANCE,
        value: |row| row.within[1] / 1e3,
    },
    Plot {
        file: "paging-order.svg",
        title: "In order (more is better)",
        unit: "MB a second",
        groups: &[
            ("read, 1 thread", "read in order", 1),
            ("write, 1 thread", "write in order", 1),
            ("read, 8 threads", "read in order", 8),
            ("write, 8 threads", "write in order", 8),
        ],
        value: |row| row.rate() * 4096.0 / 1e6,
    },
];

/// Ours are blue and green, the system's red and yellow, and what is in memory is lighter.
fn colour(kind: Kind) -> RGBColor {
    match kind {
        Kind::Disk => RGBColor(20, 70, 160),
        Kind::DiskSignal => RGBColor(70, 130, 210),
        Kind::Swap(0) => RGBColor(150, 30, 20),
        Kind::Swap(3) => RGBColor(210, 80, 50),
        Kind::Swap(_) => RGBColor(240, 140, 90),
        Kind::Mapped => RGBColor(120, 120, 120),
        Kind::Memory => RGBColor(10, 120, 90),
        Kind::MemorySignal => RGBColor(60, 180, 130),
        Kind::Compressed => RGBColor(150, 215, 160),
        Kind::Zram => RGBColor(235, 190, 40),
    }
}

/// Writes all of them to a folder.
pub(super) fn write(memories: &[Memory], folder: &Path) -> Result<(), String> {
    PLOTS.iter().try_for_each(|plot| {
        let path = folder.join(plot.file);
        plot.draw(memories, &path).map_err(|error| format!("{}: {error}", path.display()))
    })
}

impl Plot<'_> {
    fn draw(&self, memories: &[Memory], path: &Path) -> Result<(), Box<dyn Error>> {
        let memories: Vec<_> = memories.iter().filter(|memory| memory.measured.is_ok()).collect();
        let value = |memory: &Memory, group: usize| {
            let (_, pattern, threads) = self.groups[group];
            memory.row(pattern, threads).map(self.value).filter(|value| *value > 0.0)
        };
        let values = || {
            (0..self.groups.len())
                .flat_map(|group| memories.iter().filter_map(move |memory| value(memory, group)))
        };
        let (least, most) =
            values().fold((f64::MAX, 0.0), |(least, most), value| (value.min(least), value.max(most)));
        if most == 0.0 {
            return Err("there are no figures".into());
        }
        let area = SVGBackend::new(path, SIZE).into_drawing_area();
        area.fill(&WHITE)?;
        let (plot, names) = area.split_horizontally(SIZE.0 - 200);
        let bottom = 10_f64.powf((least * 0.9).log10().floor());
        let mut chart = ChartBuilder::on(&plot);
        chart.caption(self.title, (FONT, 18)).margin(10).x_label_area_size(30).y_label_area_size(76);
        let (across, up) = (0.0..self.groups.len() as f64, (bottom..most * 1.2).log_scale());
        let mut chart = chart.build_cartesian_2d(across, up)?;
        let mut mesh = chart.configure_mesh();
        mesh.disable_x_mesh().disable_x_axis().y_desc(self.unit).label_style((FONT, 13));
        mesh.y_label_formatter(&|value| short(*value)).draw()?;
        let below = (FONT, 12).into_text_style(&plot).pos(Pos::new(HPos::Center, VPos::Top));
        for (at, (name, ..)) in self.groups.iter().enumerate() {
            let (x, y) = chart.plotting_area().map_coordinate(&(at as f64 + 0.5, bottom));
            plot.draw(&Text::new(*name, (x, y + 8), below.clone()))?;
        }
        for (place, memory) in memories.iter().enumerate() {
            let (left, top) = (4, 44 + 22 * place as i32);
            let colour = colour(memory.kind).filled();
            names.draw(&Rectangle::new([(left, top), (left + 12, top + 12)], colour))?;
            names.draw(&Text::new(memory.kind.name(), (left + 18, top), (FONT, 13)))?;
        }
        let width = 0.86 / memories.len() as f64;
        for (place, memory) in memories.iter().enumerate() {
            let bars = (0..self.groups.len()).filter_map(|group| {
                let left = group as f64 + 0.07 + place as f64 * width;
                let bar = [(left, bottom), (left + 0.9 * width, value(memory, group)?)];
                Some(Rectangle::new(bar, colour(memory.kind).filled()))
            });
            chart.draw_series(bars)?;
        }
        Ok(())
    }
}

/// A number with few digits.
fn short(value: f64) -> String {
    match value {
        value if value >= 1e6 => format!("{} M", value / 1e6),
        value if value >= 1e3 => format!("{} k", value / 1e3),
        value => format!("{value}"),
    }
}
