"""What `gatewatch run` says while it runs, in the site's language."""

from __future__ import annotations

_TEXTS: dict[str, dict[str, str]] = {
    "en": {
        "starting": "Starting {cameras}: {names}.",
        "page": "Look at the alerts: {address}  (Ctrl-C ends)",
        "data": "Alerts, snapshots and clips are kept in {path}.",
        "open": "Anybody who can reach {host} can read and handle the alerts: there is no login.",
        "camera_on": "{camera}: connected.",
        "camera_off": "{camera}: {why}",
        "worker_restarts": "The camera process ended unexpectedly; it is started again in {seconds:g} s.",
        "left_behind": "{count} of the last run's alerts stay without a clip.",
        "stopping": "Stopping; a second Ctrl-C ends at once.",
        "stopped": "Stopped.",
    },
    "zh-CN": {
        "starting": "正在启动 {cameras} 路摄像机：{names}。",
        "page": "查看告警：{address}（按 Ctrl-C 结束）",
        "data": "告警、抓拍和录像片段保存在 {path}。",
        "open": "凡能访问 {host} 的人都能查看和处理告警：没有登录保护。",
        "camera_on": "{camera}：已连接。",
        "camera_off": "{camera}：{why}",
        "worker_restarts": "摄像机进程意外结束，{seconds:g} 秒后重新启动。",
        "left_behind": "上次运行的告警中有 {count} 条没有录像片段。",
        "stopping": "正在停止；再按一次 Ctrl-C 立即结束。",
        "stopped": "已停止。",
    },
}


def say(language: str, key: str, **values: object) -> str:
    """A sentence of `gatewatch run`."""
    return _TEXTS.get(language, _TEXTS["en"])[key].format(**values)
