"""What `gatewatch run` says while it runs, in the site's language."""

from __future__ import annotations

_TEXTS: dict[str, dict[str, str]] = {
    "en": {
        "starting": "Starting {cameras}: {names}.",
        "page": "Look at the alerts: {address}  (Ctrl-C ends)",
        "data": "Alerts, snapshots and clips are kept in {path}.",
        "open": "Warning: passwords and pictures can be read on their way to {host}; give --tls-cert and --tls-key, or "
        "--behind-proxy where a proxy does TLS.",
        "cert_over": "Warning: the certificate {path} has expired; browsers will refuse it.",
        "cert_ends": "The certificate {path} ends in {days} days.",
        "first_login": "Log in as {user} with the password {password} and choose your own; it is shown only now.",
        "first_login_file": "Log in as {user}; the password for the first time is in {path}.",
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
        "open": "警告：密码和图像在传往 {host} 的途中可能被窃读；请使用 --tls-cert 和 --tls-key，"
        "若由代理提供 TLS，请使用 --behind-proxy。",
        "cert_over": "警告：证书 {path} 已过期，浏览器将拒绝访问。",
        "cert_ends": "证书 {path} 将在 {days} 天后到期。",
        "first_login": "请用账号 {user} 和一次性密码 {password} 登录并设置新密码；该密码只显示这一次。",
        "first_login_file": "请用账号 {user} 登录，首次登录密码在文件 {path} 中。",
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
