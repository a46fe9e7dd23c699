"""The catalogue of messages. The code holds the English text, this module the Chinese one."""

from collections.abc import Mapping

ZH: Mapping[str, str] = {
    # one sentence for each error
    "The code is wrong, used or has expired.": "验证码错误、已使用或已过期。",
    "Log in first.": "请先登录。",
    "The profile data did not pass validation.": "资料未通过校验。",
    "Complete your profile first.": "请先完善个人资料。",
    "The request carries no file.": "请求中没有文件。",
    "Your VIP level lacks this permission.": "您的会员等级没有此权限。",
    "A parameter is missing or wrong.": "参数缺失或有误。",
    "The request body is not valid JSON.": "请求体不是合法的 JSON。",
    "Too many requests; try again later.": "请求过于频繁，请稍后再试。",
    "Today's quota is used up.": "今日次数已用完。",
    "There is nothing to rewind.": "没有可以撤销的滑动。",
    "You have already swiped this person differently.": "您已对此人做过不同的选择。",
    "Not found.": "未找到。",
    "This method is not allowed here.": "此处不支持该请求方法。",
    "Your account is suspended.": "您的账号已被封禁。",
    "Access is refused.": "访问被拒绝。",
    "The service is not available right now; nothing was changed.": "服务暂时不可用，未做任何更改。",
    "The service is not available right now. The code may be used up; if it is refused, ask for a new one.": (
        "服务暂时不可用。验证码可能已失效，如被拒绝请重新获取。"
    ),
    "Sold out.": "已售罄。",
    "A page of another site may not do this.": "不允许来自其他网站的请求。",
    "The payment notice was refused.": "支付通知被拒绝。",
    "Something went wrong on our side.": "服务器内部错误。",
    "The body is too large.": "请求体过大。",
    "This kind of request body is not supported here.": "此处不支持这种类型的请求体。",
    "A compressed request body is not supported.": "不支持压缩的请求体。",
    "Text must be sent as UTF-8.": "文本必须以 UTF-8 编码发送。",
    "The multipart body has no boundary in its Content-Type.": "multipart 请求体的 Content-Type 中缺少 boundary。",
    "The multipart body is malformed or cut off, or its boundary is another one.": (
        "multipart 请求体格式有误、不完整，或 boundary 不一致。"
    ),
    "The chunks of the request body are malformed.": "请求体的分块格式有误。",
    "The request body ended early.": "请求体不完整。",
    "The head of a part is too long.": "multipart 部分的头部过长。",
    "There are too many fields.": "字段过多。",
    "Solve the challenge and send its solution along.": "请完成验证后重试。",
    "Whoever holds the operator's role cannot delete their account.": "运营人员须先交还角色才能注销账号。",
    "Confirm this with a fresh code.": "请用新的验证码确认此操作。",
    # reasons at a field
    "Missing data for required field.": "此项必填。",
    "Unknown field.": "未知字段。",
    "Field may not be null.": "此项不能为空。",
    "Not a valid string.": "必须是字符串。",
    "Not a valid integer.": "必须是整数。",
    "Not a valid boolean.": "必须是布尔值。",
    "Not a valid date.": "必须是日期（YYYY-MM-DD）。",
    "Not a valid id.": "无效的编号。",
    "Not a valid phone number.": "无效的手机号码。",
    "This can be two numbers: send its plus as %2B, or write 00 and the country code.": (
        "此号码可能指两个号码：请将加号写作 %2B，或以 00 和国家代码开头。"
    ),
    "No provider sends to this country.": "暂不支持向该国家或地区发送短信。",
    "Codes are not sent to this country.": "暂不支持向该国家或地区发送验证码。",
    "Codes are not sent to this kind of number.": "暂不支持向此类号码发送验证码。",
    "Not a valid file.": "必须是文件。",
    "Invalid input type.": "输入类型有误。",
    "Out of range.": "超出允许范围。",
    "Not one of the choices.": "不在可选范围内。",
    "Wrong length.": "长度不符合要求。",
    "It holds characters that cannot be shown.": "包含无法显示的字符。",
    "This nickname is taken.": "该昵称已被使用。",
    "This nickname is reserved.": "该昵称为系统保留，不能使用。",
    "You must be 18 to 100 years old.": "年龄必须在 18 到 100 岁之间。",
    "The minimum is above the maximum.": "最小值大于最大值。",
    "This has been corrected before; only an operator can change it again.": "此项已更正过，如需再改请联系运营人员。",
    "You have changed your city too often; try again later.": "您更改城市过于频繁，请稍后再试。",
    "Not set yet.": "尚未设置。",
    "You cannot swipe yourself.": "不能对自己操作。",
    "This is not your last swipe.": "这不是您的最后一次滑动。",
    "The sale is not open.": "活动未开始或已结束。",
    "You have left your place in this sale unpaid too often.": "您多次未支付本活动的名额，不能再次参加。",
    "Pay one of your open orders first, or wait.": "请先支付一个待付款订单，或稍后再试。",
    "A membership cannot be extended that far ahead.": "会员有效期不能再延长这么久。",
    "Not an image that we can read.": "无法识别的图片。",
    "The image has too many pixels.": "图片像素过大。",
    "HEIC photos cannot be read here. Send a JPEG: iPhone Settings, Camera, Formats, Most Compatible.": (
        "无法读取 HEIC 照片，请上传 JPEG；iPhone 可在“设置 > 相机 > 格式”中选择“兼容性最佳”。"
    ),
    "The album is full.": "相册已满。",
    "The amount differs.": "金额不符。",
    "The currency differs.": "币种不符。",
    "This form has expired; load its page again.": "表单已过期，请重新加载页面。",
    "You cannot suspend yourself.": "不能封禁自己。",
    "This ban would lock you out.": "此封禁会把您自己挡在门外。",
    "The end must be in the future.": "结束时间必须在将来。",
    "The end must come after the beginning.": "结束时间必须晚于开始时间。",
    "Not a valid date and time.": "必须是日期和时间。",
    "Not a valid amount.": "无效的金额。",
    "There is no such order.": "没有此订单。",
    "The signature is wrong.": "签名错误。",
}


def translate(text: str, language: str) -> str:
    """Return `text` in `language` (`zh` or `en`), or in English if the catalogue has no translation."""
    return ZH.get(text, text) if language == "zh" else text
