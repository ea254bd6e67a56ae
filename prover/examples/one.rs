use domain::X64;
use prover::*;
fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    catch_panics();
    let solver = Solver::start(&std::env::var("SOLVER").unwrap_or("z3pinned".into()), 10_000).unwrap();
    with_engine(solver, || {
        for (p, c) in layer::primitive::primitives::<Sym<X64>>() {
            if !args.is_empty() && !args.iter().any(|a| a == p.name) {
                continue;
            }
            for ground in [Ground::High, Ground::Derived] {
                let t = std::time::Instant::now();
                let o = prove_primitive(&p, &c, ground);
                println!(
                    "{:24} {ground:?} paths {} ok {} obligations {} instances {} stuck {:?} {:.2}s {}",
                    p.name,
                    o.counts.paths,
                    o.successful_paths,
                    o.counts.obligations,
                    o.counts.instances,
                    o.stuck,
                    t.elapsed().as_secs_f64(),
                    if o.failures.is_empty() { "PROVED" } else { "FAILED" }
                );
                for f in o.failures {
                    println!("   {} {:?}", f.clause, f.reason);
                    if std::env::var("V").is_ok() {
                        for l in f.path {
                            println!("      {l}");
                        }
                        for l in f.state {
                            println!("      {} = {}", l.0, l.1);
                        }
                    }
                }
            }
        }
        for row in syscall::table::rows::<Sym<X64>>() {
            if !args.is_empty() && !args.iter().any(|a| a == row.name) {
                continue;
            }
            let t = std::time::Instant::now();
            let o = prove_entry(&row);
            println!(
                "entry {:24} paths {} ok {} obligations {} instances {} {:.2}s {:?}",
                row.name,
                o.counts.paths,
                o.successful_paths,
                o.counts.obligations,
                o.counts.instances,
                t.elapsed().as_secs_f64(),
                o.failures.iter().map(|f| (&f.clause, f.reason)).collect::<Vec<_>>()
            );
            if std::env::var("V").is_ok() {
                for f in o.failures {
                    for l in f.path {
                        println!("      {l}");
                    }
                    for l in f.state {
                        println!("      {} = {}", l.0, l.1);
                    }
                }
            }
        }
        for row in theorems::<X64>() {
            if !args.is_empty() && !args.iter().any(|a| a == row.name) {
                continue;
            }
            let t = std::time::Instant::now();
            let o = (row.prove)();
            println!(
                "theorem {:24} paths {} ok {} obligations {} instances {} {:.2}s {:?}",
                row.name,
                o.counts.paths,
                o.successful_paths,
                o.counts.obligations,
                o.counts.instances,
                t.elapsed().as_secs_f64(),
                o.failures.iter().map(|f| (&f.clause, f.reason)).collect::<Vec<_>>()
            );
            if std::env::var("V").is_ok() {
                for f in o.failures {
                    for l in f.path {
                        println!("      {l}");
                    }
                    for l in f.state {
                        println!("      {} = {}", l.0, l.1);
                    }
                }
            }
        }
    })
}
