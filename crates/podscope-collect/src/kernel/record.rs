//! One record of `/dev/kmsg` (Documentation/ABI/testing/dev-kmsg): `6,1234,56789012,-;text`, then continuation lines.

/// A record of the kernel's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// 0 emergency to 7 debug.
    pub level: u8,
    /// Whether the kernel wrote it itself; others may write into the log too.
    pub from_kernel: bool,
    /// Counts records since boot.
    pub sequence: u64,
    /// Microseconds since boot.
    pub at_us: u64,
    pub text: String,
}

impl Record {
    /// Reads a record; `None` for what is none.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(bytes);
        let (head, rest) = text.split_once(';')?;
        let mut fields = head.split(',');
        let priority: u64 = fields.next()?.parse().ok()?;
        let sequence = fields.next()?.parse().ok()?;
        let at_us = fields.next()?.parse().ok()?;
        Some(Self {
            level: (priority & 7) as u8,
            from_kernel: priority >> 3 == 0,
            sequence,
            at_us,
            text: rest.lines().next().unwrap_or_default().to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_kernel_writes() {
        let record = Record::parse(b"3,1412,98765432,-;NVRM: Xid (PCI:0000:3b:00): 79\n SUBSYSTEM=pci\n")
            .expect("one");
        assert_eq!(
            record,
            Record {
                level: 3,
                from_kernel: true,
                sequence: 1412,
                at_us: 98_765_432,
                text: "NVRM: Xid (PCI:0000:3b:00): 79".to_owned()
            }
        );
        let user = Record::parse(b"12,1413,98765433,-;systemd[1]: hello").expect("one");
        assert!(!user.from_kernel && user.level == 4);
    }

    #[test]
    fn what_is_no_record_is_none() {
        for bytes in [&b""[..], b"text", b"x,1,2,-;text", b"6,1;text", b"\xff\xfe"] {
            assert_eq!(Record::parse(bytes), None, "{bytes:?}");
        }
    }
}
