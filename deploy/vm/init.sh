# What a node does before Python runs. Every program costs a tenth of a second under emulation, so there are few.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
/bin/busybox mount -t devtmpfs -o nosuid dev /dev
/bin/busybox mount -t proc -o nosuid,nodev,noexec proc /proc
/bin/busybox mount -t sysfs -o nosuid,nodev,noexec sys /sys
/bin/busybox mount -t cgroup2 -o nosuid,nodev,noexec,nsdelegate cgroup2 /sys/fs/cgroup
/bin/busybox mount -t tmpfs -o nosuid,nodev,mode=755 run /run
read -r up rest < /proc/uptime
echo "[$up] the kernel and its modules are up"
export PYTHONPATH=/opt/sampan:/usr/lib/sampan PYTHONDONTWRITEBYTECODE=1 PYDANTIC_DISABLE_PLUGINS=__all__
export SAMPAN_HOME=/var/lib/sampan SAMPAN_RUN=/run/sampan HOME=/root LC_ALL=C.UTF-8
exec /usr/bin/python3 -S -OO -m deploy.vm.guest
