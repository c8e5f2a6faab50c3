"""What the demonstration says, in Japanese and English."""

from dataclasses import dataclass

_TEXTS: dict[str, tuple[str, str]] = {
    "title": (
        "つなぎハブ ― 紹介から連絡票まで（登場する人はすべて架空です）",
        "Tsunagi Hub: from referral to monthly report (everybody here is invented)",
    ),
    "prepare": ("準備", "Preparing"),
    "hub_up": (
        "ハブを起動しました（{seconds} 秒で応答）",
        "The hub is up (first answer after {seconds} s)",
    ),
    "directory": (
        "県内の {municipalities} 市町村・{centres} 保健所・{hospitals} 医療機関",
        "{municipalities} municipalities, {centres} centres, {hospitals} hospitals",
    ),
    "standins": (
        "別プロセスで起動：病院の受け口、{centre}のFHIRサーバー（それぞれ自分のOAuth）",
        "Stand-ins as own processes: the hospital's endpoint, the server of {centre}",
    ),
    "sheets": (
        "① 病院がアセスメントシート（様式1）を送る",
        "1. The hospital sends its sheets",
    ),
    "sheet_excel": ("Excel 1枚", "Excel, one sheet"),
    "sheet_csv": ("CSV（CP932）2行", "CSV (CP932), two rows"),
    "row": ("行", "row"),
    "outcome": ("結果", "outcome"),
    "accepted": ("受付", "accepted"),
    "refused": ("お断り", "refused"),
    "leaflet": (
        "同意がないので何も保存せず、相談窓口の案内を返しました：",
        "Without consent nothing was kept; the leaflet came back instead:",
    ),
    "delivered": (
        "② {centre}のサーバーに OAuth で届きました：{count} 件（{seconds} 秒）",
        "2. Delivered over OAuth to the server of {centre}: {count} ({seconds} s)",
    ),
    "centre_acts": ("③ 保健所が動く", "3. The health centres act"),
    "moved": ("{case}　{desk}：{words}", "{case}, {desk}: {words}"),
    "transferred": (
        "{case}　{desk}：住所地の{onward}へ引き継ぎ（同意書の説明事項7）",
        "{case}, {desk}: passed on to {onward}, the centre of residence (item 7)",
    ),
    "polled": (
        "{desk}はサーバーを持たないので、Task を検索して受け取りました",
        "{desk} has no server: it finds the request by searching Task",
    ),
    "stale": (
        "古い版での更新は断られました（412）：受理の取り合いは起きません",
        "An update from a stale version was refused (412): no two can accept at once",
    ),
    "hospital_sees": (
        "④ 病院に届いた知らせ（{count} 通、病院の受け口に届いた順）",
        "4. What reached the hospital, in order ({count} messages)",
    ),
    "poll": (
        "検索（Task?_lastUpdated=ge…）でも同じ：{words}",
        "The same by polling Task?_lastUpdated=ge…: {words}",
    ),
    "month_end": ("⑤ 月末：連絡票（様式5）", "5. Month end: the monthly report"),
    "report_made": (
        "{centre} → {hospital}：対象者 {count} 人、PDF {size} KB",
        "{centre} → {hospital}: {count} person(s), PDF {size} KB",
    ),
    "report_delivered": (
        "FHIR文書が病院に届きました（{count} 件）",
        "FHIR documents reached the hospital ({count})",
    ),
    "audit": (
        "⑥ 監査記録：封印 {sealed} 件、チェックポイント済み {anchored} 件、異常なし",
        "6. Audit log: {sealed} sealed, {anchored} anchored, intact",
    ),
    "result": ("結果", "Result"),
    "numbered": ("事例{number}", "case {number}"),
    "case": ("事例", "case"),
    "consent": ("同意", "consent"),
    "desks": ("窓口", "desks"),
    "hospital_status": ("病院から見た状態", "as the hospital sees it"),
    "report": ("連絡票", "report"),
    "person": ("本人", "person"),
    "family": ("家族", "family"),
    "nobody": ("なし", "nobody"),
    "nothing": ("―", "–"),
    "kept_nothing": ("保存なし・案内のみ", "nothing kept, leaflet only"),
    "look": ("見てみる", "Have a look"),
    "files": ("ファイル", "files"),
    "stop": ("Ctrl-C で終了します", "Ctrl-C stops everything"),
    "done": ("完了（{seconds} 秒）", "Done ({seconds} s)"),
    "failed": (
        "途中で止まりました：{what}（記録：{log}）",
        "The story stopped: {what} (log: {log})",
    ),
}


@dataclass(frozen=True, slots=True)
class Words:
    """`lang` is ja or en; `say` fills a text's fields."""

    lang: str

    def say(self, key: str, **fields: object) -> str:
        japanese, english = _TEXTS[key]
        text = english if self.lang == "en" else japanese
        return text.format(**fields)

    def pick(self, japanese: str, english: str) -> str:
        """The one of two texts that come from data."""
        return english if self.lang == "en" else japanese
