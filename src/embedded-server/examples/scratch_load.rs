//! Scratch.
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use watchcache_embedded_server::{Config, EmbeddedServer};
fn cpu() -> f64 { let s=std::fs::read_to_string("/proc/self/stat").unwrap(); let f:Vec<&str>=s.rsplit(')').next().unwrap().split_whitespace().collect(); (f[11].parse::<f64>().unwrap()+f[12].parse::<f64>().unwrap())/100.0 }
async fn read(server: &EmbeddedServer, path: &str) -> tokio::task::JoinHandle<u64> {
    let mut s = tokio::net::TcpStream::connect(server.address()).await.unwrap();
    s.write_all(format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").as_bytes()).await.unwrap();
    tokio::spawn(async move { let mut b = vec![0; 1<<20]; let mut n=0; while let Ok(r) = s.read(&mut b).await { if r==0 {break} n+=r as u64; } n })
}
#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let t=Instant::now();
    let rate: u32 = std::env::args().nth(1).and_then(|a| a.parse().ok()).unwrap_or(2000);
    let s = EmbeddedServer::start(Config { pods: 50_000, rate, ..Config::default() }).await.unwrap();
    println!("start {:?}", t.elapsed());
    let (c0,k0)=(cpu(),s.commits()); tokio::time::sleep(Duration::from_secs(4)).await;
    println!("no watchers: cpu {:.2} commits/s {}", (cpu()-c0)/4.0,(s.commits()-k0)/4);
    let t=Instant::now(); let n=read(&s,"/api/v1/pods").await.await.unwrap(); println!("list {n} bytes {:?}", t.elapsed());
    let rv=s.resource_version();
    let mut hs=vec![]; for _ in 0..4 { hs.push(read(&s,&format!("/api/v1/pods?watch=1&timeoutSeconds=4&resourceVersion={rv}")).await); }
    let (c0,k0,t)=(cpu(),s.commits(),Instant::now()); for h in hs { println!("watch bytes {}", h.await.unwrap()); }
    let e=t.elapsed().as_secs_f64();
    println!("4 watchers: cpu {:.2} commits/s {:.0}", (cpu()-c0)/e,(s.commits()-k0) as f64/e);
    s.stop().await;
}
